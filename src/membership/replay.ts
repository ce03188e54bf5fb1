/**
 * The replay window: the last message accepted from each sender.
 *
 * A message is fresh if its (incarnation, sequence) is greater than the last accepted one of its sender. What a
 * network reorders is dropped: the newer heartbeat said all that the older one did. Senders stay known after
 * their death, for a recording of a dead node must not bring it back.
 */

import { MEMBERS_MAX } from "../core/limits.ts";
import { dropOldest } from "../core/oldest.ts";
import { headerOf, type Heartbeat, type HeartbeatCodec, type ReplayGuard } from "../wire/heartbeat.ts";

/** Senders remembered. Only holders of the secret get in; eight farms' worth of names is ample for renamed nodes. */
export const SENDERS_MAX = 8 * MEMBERS_MAX;

/** A network that is slower than another one by this many messages still counts as delivering. */
const RECENT_MESSAGES = 32;

interface Sender {
  readonly name: string;
  incarnation: number;
  sequence: number;
  /** Messages of it that had not come when a later one of the same incarnation did, by no network. */
  lost: number;
}

/** One line of {@link ReplayWindow.save}. */
export interface SavedSender extends Sender {
  readonly key: string;
}

/** Remembers senders; the one that was not heard for the longest time is forgotten first. */
export class ReplayWindow implements ReplayGuard {
  readonly #senders = new Map<string, Sender>();

  judge(
    idLow: number,
    idHigh: number,
    incarnation: number,
    sequence: number,
  ): "fresh" | "duplicate" | "replayed" {
    const sender = this.#senders.get(keyOf(idLow, idHigh));
    if (sender === undefined || incarnation > sender.incarnation) return "fresh";
    if (incarnation < sender.incarnation || sequence < sender.sequence) return "replayed";
    return sequence === sender.sequence ? "duplicate" : "fresh";
  }

  /** Takes note of a message that the codec accepted. */
  accept(codec: HeartbeatCodec, message: Pick<Heartbeat, "sender" | "incarnation" | "sequence">): void {
    const { low, high } = codec.identify(message.sender);
    const key = keyOf(low, high);
    const before = this.#senders.get(key);
    const missing = before?.incarnation === message.incarnation ? message.sequence - before.sequence - 1 : 0;
    this.#senders.delete(key); // to put it at the end
    this.#senders.set(key, {
      name: message.sender,
      incarnation: message.incarnation,
      sequence: message.sequence,
      lost: (before?.lost ?? 0) + missing,
    });
    dropOldest(this.#senders, SENDERS_MAX);
  }

  /**
   * Who sent this message, if it is a copy of the last accepted one or a little older, of the same incarnation: what
   * a second network delivers. Its header check was right, so its identity and numbers are real.
   */
  recentSender(bytes: Uint8Array): string | undefined {
    const { idLow, idHigh, incarnation, sequence } = headerOf(bytes);
    const sender = this.#senders.get(keyOf(idLow, idHigh));
    if (sender === undefined) return undefined;
    const recent = incarnation === sender.incarnation && sequence > sender.sequence - RECENT_MESSAGES;
    return recent ? sender.name : undefined;
  }

  /** Messages lost on the way from each sender. */
  lost(): Record<string, number> {
    return Object.fromEntries([...this.#senders.values()].map(({ name, lost }) => [name, lost]));
  }

  /** For another process of this node. */
  save(): SavedSender[] {
    return [...this.#senders].map(([key, sender]) => ({ key, ...sender }));
  }

  /** Goes on where another process of this node stopped. */
  restore(saved: readonly SavedSender[]): void {
    for (const { key, ...sender } of saved) this.#senders.set(key, sender);
  }

  /**
   * If this message, refused as `replayed`, comes from an older incarnation than the last accepted one: who sent it
   * and that later incarnation. Its header check was right, so its identity and incarnation are real.
   */
  staleSender(bytes: Uint8Array): { readonly name: string; readonly incarnation: number } | undefined {
    const { idLow, idHigh, incarnation } = headerOf(bytes);
    const sender = this.#senders.get(keyOf(idLow, idHigh));
    return sender !== undefined && incarnation < sender.incarnation ? sender : undefined;
  }
}

function keyOf(idLow: number, idHigh: number): string {
  return `${idHigh}:${idLow}`;
}
