/**
 * The heartbeat networks, one by one. A member lives as long as any of them delivers, so the loss of one changes
 * nothing, and just for that somebody must be told: the next one would. Pure, like all of this folder.
 */

import type { FarmEventInit } from "../core/events.ts";
import { MEMBERS_MAX } from "../core/limits.ts";

/** A network is given up for a member after this many silent intervals, and never sooner than LOST_MS_MIN. */
export const LOST_INTERVALS = 10;
/** Nothing depends on the report, so it may take its time where intervals are short. */
export const LOST_MS_MIN = 1_000;

/** What is heard on one network. */
export interface NetworkReport {
  readonly interface: string;
  /** For people: `eth1 (multicast 239.255.86.70)`. */
  readonly label: string;
  /** Whether the last heartbeat could be handed to the kernel there. */
  readonly sending: boolean;
  /** By name: when each member was last heard there, on the clock of the inputs; `undefined`: never. */
  readonly heard: Readonly<Record<string, number | undefined>>;
  /** Members that are heard elsewhere, but not there. */
  readonly lost: readonly string[];
}

interface Pair {
  /** Since then it could have been heard. */
  fromMs: number;
  heardMs: number | undefined;
  lost: boolean;
}

interface Network {
  readonly interface: string;
  readonly label: string;
  sending: boolean;
  readonly pairs: Map<string, Pair>;
}

/** When a member was last heard on any of these networks; undefined: never. */
export function lastHeardMs(name: string, networks: readonly NetworkReport[]): number | undefined {
  const heard = networks.flatMap(({ heard }) => Object.hasOwn(heard, name) ? heard[name] ?? [] : []);
  return heard.length === 0 ? undefined : Math.max(...heard);
}

/** Watches which network delivers whose heartbeats. */
export class NetworkWatch {
  readonly #networks: readonly Network[];
  readonly #lostMs: number;

  constructor(networks: ReadonlyArray<Pick<Network, "interface" | "label">>, intervalMs: number) {
    this.#networks = networks.map(({ interface: name, label }) => ({
      interface: name,
      label,
      sending: true,
      pairs: new Map(),
    }));
    this.#lostMs = Math.max(LOST_INTERVALS * intervalMs, LOST_MS_MIN);
  }

  /** A genuine heartbeat came by this network, be it the first, a copy, or one that another network overtook. */
  heard(network: number, name: string, nowMs: number): void {
    const { pairs } = this.#networks[network];
    const pair = pairs.get(name);
    if (pair !== undefined) pair.heardMs = nowMs;
    else if (pairs.size < MEMBERS_MAX) pairs.set(name, { fromMs: nowMs, heardMs: nowMs, lost: false });
  }

  /** What became of a heartbeat on this network. */
  sent(network: number, ok: boolean): void {
    this.#networks[network].sending = ok;
  }

  /**
   * Judges, given the names of the members that are heard at all, and gives what is to be told. To be called about
   * once a second. Silence of a member everywhere is not this watch's affair.
   */
  check(names: readonly string[], nowMs: number): FarmEventInit[] {
    const events: FarmEventInit[] = [];
    for (const network of this.#networks) {
      for (const name of network.pairs.keys()) if (!names.includes(name)) network.pairs.delete(name);
      for (const name of names) {
        if (!network.pairs.has(name) && network.pairs.size < MEMBERS_MAX) {
          network.pairs.set(name, { fromMs: nowMs, heardMs: undefined, lost: false });
        }
      }
      // With one network there is nothing beside it: whoever is not heard there is suspected.
      if (this.#networks.length > 1) events.push(...this.#judge(network, nowMs));
    }
    return events;
  }

  report(): NetworkReport[] {
    return this.#networks.map(({ interface: name, label, sending, pairs }) => ({
      interface: name,
      label,
      sending,
      heard: Object.fromEntries([...pairs].map(([name, { heardMs }]) => [name, heardMs])),
      lost: [...pairs].filter(([, { lost }]) => lost).map(([name]) => name).sort(),
    }));
  }

  #judge({ label, pairs }: Network, nowMs: number): FarmEventInit[] {
    const silences = [...pairs].map(([name, pair]) => ({
      name,
      pair,
      silentMs: nowMs - (pair.heardMs ?? pair.fromMs),
    }));
    const back = silences.filter(({ pair, silentMs }) => pair.lost && silentMs < this.#lostMs / 2);
    for (const { pair } of back) pair.lost = false;
    // Who fell silent together is told together: wait for those who are about to be lost.
    const undecided = silences.some(({ pair, silentMs }) =>
      !pair.lost && silentMs >= this.#lostMs / 2 && silentMs < this.#lostMs
    );
    const lost = undecided
      ? []
      : silences.filter(({ pair, silentMs }) => !pair.lost && silentMs >= this.#lostMs);
    for (const { pair } of lost) pair.lost = true;
    const events: FarmEventInit[] = [];
    if (lost.length > 0) {
      const nobody = silences.every(({ pair }) => pair.lost);
      events.push({
        severity: "warning",
        kind: nobody ? "heartbeat.network_lost" : "heartbeat.network_partial",
        message: nobody
          ? `Nobody is heard on ${label} any more; heartbeats still come by another network.`
          : `${names(lost)} not heard on ${label} any more, but still by another network.`,
        details: { network: label, members: lost.map(({ name }) => name) },
      });
    }
    if (back.length > 0) {
      events.push({
        severity: "info",
        kind: "heartbeat.network_back",
        message: `${names(back)} heard on ${label} again.`,
        details: { network: label, members: back.map(({ name }) => name) },
      });
    }
    return events;
  }
}

/** `n1 is`, `n1, n2 are`. */
function names(pairs: ReadonlyArray<{ readonly name: string }>): string {
  const list = pairs.map(({ name }) => name).sort();
  return `${list.join(", ")} ${list.length === 1 ? "is" : "are"}`;
}
