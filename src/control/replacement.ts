/**
 * One process of this node in the place of another: the worker's side, on either end, of the steps that
 * supervisor/replacement.ts tells with their reasons.
 */
import { boottimeMs, boottimeMs32, realtimeMs } from "../../ffi/clock.ts";
import { VipfarmError } from "../core/errors.ts";
import { CUT_AHEAD_MS } from "../dataplane/frame_gate.ts";
import { type SharedClaims } from "../dataplane/shared.ts";
import { type FromMembership, type ToMembership } from "../thread_messages.ts";
import { type Connections } from "./connections.ts";
import { type Drain } from "./drain.ts";
import { type NodeState } from "./node_state.ts";
import { type PacketThread, savedFlows } from "./packet_thread.ts";
import { type Settings } from "./settings.ts";
import { type SupervisorLink } from "./supervisor_link.ts";
import { STOP_STEP_MS_MAX, type Thread } from "./thread.ts";
import { elapsed, within } from "./within.ts";

/** What of this process stops, or goes on. */
export interface ReplacementParts {
  readonly supervisor: SupervisorLink;
  readonly claims: SharedClaims;
  readonly dataplanes: readonly PacketThread[];
  readonly settings: Settings;
  readonly state: NodeState;
  readonly drain: Drain;
  connections(): Connections;
  membership(): Thread<ToMembership, FromMembership>;
  /** The membership thread has ended. */
  readonly membershipEnded: Promise<void>;
  /** Of the configuration in use: `identityOf`. */
  identity(): string;
  tellIncarnation(incarnation: number): void;
  /** Another process has gone on: this one may end. */
  replaced(): void;
  onFailure(error: Error): void;
}

export class Replacement {
  readonly #rehearsed = Promise.withResolvers<void>();
  readonly #restored = Promise.withResolvers<void>();

  constructor(readonly parts: ReplacementParts) {}

  /** Takes what the membership thread says of it. */
  hear(message: Extract<FromMembership, { kind: "rehearsed" | "restored" | "saved" }>): void {
    switch (message.kind) {
      case "rehearsed":
        return this.#rehearsed.resolve();
      case "restored":
        return this.#restored.resolve();
      case "saved":
        return this.#tellSnapshot(message);
    }
  }

  /** Goes on where another process of this node stops. */
  async takeOver(): Promise<void> {
    const { supervisor, claims, dataplanes, settings, state, drain } = this.parts;
    const membership = this.parts.membership();
    supervisor.tell({ say: "prepared" });
    const rehearsal = (await supervisor.once("rehearse")).snapshot;
    if (rehearsal.identity !== this.parts.identity()) {
      throw new VipfarmError({
        operation: "take over from the running program",
        problem:
          "its configuration differs from the running one in more than weights, or it speaks another protocol",
        remedy: "Restart vipfarm to use it.",
      });
    }
    for (const { interface: name, flows } of rehearsal.flows ?? []) {
      dataplanes.find((dataplane) => dataplane.interface === name)?.flows?.restore(flows);
    }
    const held = this.parts.connections().look();
    membership.start({ kind: "rehearse", membership: rehearsal.membership, held });
    await this.#rehearsed.promise;
    supervisor.tell({ say: "rehearsed" });
    const { snapshot } = await supervisor.once("takeOver");
    state.restore(snapshot);
    this.parts.tellIncarnation(snapshot.membership.own.incarnation);
    membership.start({ kind: "restore", membership: snapshot.membership, senders: snapshot.senders });
    claims.setWindow("later");
    await Promise.all([this.#restored.promise, drain.packetsDecided()]);
    supervisor.tell({ say: "tookOver" });
    const { cutUs } = await supervisor.once("decideFrom");
    claims.setWindow("afterCut", cutUs);
    for (const { thread } of dataplanes) thread.wake.signal();
    await supervisor.once("begin");
    membership.start({ kind: "begin", ...settings.announcement });
    await supervisor.once("serve");
  }

  /** From here on another process may take the place of this one. */
  permit(): void {
    const { supervisor, state, replaced, onFailure } = this.parts;
    const membership = this.parts.membership();
    supervisor.on("save", ({ ask }) => membership.send({ kind: "save", ask }));
    supervisor.on("freeze", ({ ask }) => {
      state.freeze();
      membership.send({ kind: "freeze", ask });
    });
    supervisor.on("thaw", () => {
      membership.send({ kind: "thaw" });
      state.thaw();
    });
    supervisor.on("finish", () => void this.#finish().then(replaced, onFailure));
  }

  #tellSnapshot({ ask, membership, senders, isFrozen }: Extract<FromMembership, { kind: "saved" }>): void {
    const { supervisor, dataplanes, settings, state } = this.parts;
    const flows = isFrozen ? undefined : savedFlows(dataplanes, boottimeMs32());
    const { weight } = settings;
    const identity = this.parts.identity();
    const snapshot = { identity, membership, senders, flows, draining: state.drained, weight };
    supervisor.tell({ say: "snapshot", ask, snapshot });
  }

  /** Decides the frames that are still this process's, and ends without a word to the others. */
  async #finish(): Promise<void> {
    const { supervisor, claims, dataplanes, membershipEnded } = this.parts;
    const cutUs = (realtimeMs() + CUT_AHEAD_MS) * 1e3;
    claims.setWindow("upToCut", cutUs);
    for (const { thread } of dataplanes) thread.wake.signal();
    supervisor.tell({ say: "cut", cutUs });
    // Not when the threads are gone: to unmap a ring takes time, and nothing is decided meanwhile.
    const deadlineMs = boottimeMs() + STOP_STEP_MS_MAX;
    while (dataplanes.some((dataplane) => !dataplane.isDone) && boottimeMs() < deadlineMs) {
      await elapsed(1);
    }
    supervisor.tell({ say: "stopped" });
    this.parts.membership().send({ kind: "end" });
    await within(membershipEnded, STOP_STEP_MS_MAX);
  }
}
