/**
 * Is this node reached by what is sent to the virtual IPs? Every node sends a probe to each of them once a second; who
 * hears the heartbeats of another on the same network, but never gets its probes, is not reached by clients either. Pure.
 *
 * Each node judges for itself and tells the others; lan.ts puts the judgements together.
 */

import { lastHeardMs, type NetworkReport } from "./networks.ts";

/** So long without a probe, although somebody sends them: ten in a row. */
export const UNREACHED_MS = 10_000;
/** After a pause of this length nothing is known of what came meanwhile. */
export const PAUSE_MS = 5_000;

/** What a node says of itself: bit i stands for virtual IP i, in the order of the file. Neither bit: it cannot tell. */
export interface VipReach {
  readonly reached: number;
  readonly unreached: number;
}

export const REACH_UNKNOWN: VipReach = { reached: 0, unreached: 0 };

/** One virtual IP as of now. */
export interface ProbedVip {
  /** Probes that have come in all. */
  readonly probes: number;
  /** Frames of clients that have come by its interface. */
  readonly frames: number;
  /** Members that send probes there, and when each was last heard there: ms, on the clock of {@link ReachTest.sample}. */
  readonly senders: ReadonlyMap<string, number>;
}

/** Who sends probes on an interface: the members of these names, as far as they are heard there. */
export function probeSenders(
  interfaceName: string,
  networks: readonly NetworkReport[],
  members: readonly string[],
): Map<string, number> {
  const there = networks.filter((network) => network.interface === interfaceName);
  const senders = new Map<string, number>();
  for (const member of members) {
    const heardMs = lastHeardMs(member, there);
    if (heardMs !== undefined) senders.set(member, heardMs);
  }
  return senders;
}

interface Watched {
  probes: number;
  frames: number;
  /** When the last probe came, and the last frame of a client. */
  probeMs: number;
  frameMs: number;
  /** Since when each member has been there without a break. */
  readonly sinceMs: Map<string, number>;
}

/** Watches the probes. Call {@link sample} about once a second. */
export class ReachTest {
  #vips: readonly Watched[] = [];
  #lastMs = -Infinity;

  sample(vips: readonly ProbedVip[], nowMs: number): VipReach {
    if (nowMs - this.#lastMs > PAUSE_MS) {
      this.#vips = vips.map(({ probes, frames }) => (
        { probes, frames, probeMs: -Infinity, frameMs: -Infinity, sinceMs: new Map() }
      ));
    }
    this.#lastMs = nowMs;
    let reached = 0, unreached = 0;
    for (const [index, vip] of vips.entries()) {
      const watched = this.#vips[index];
      noteSenders(watched, vip.senders, nowMs);
      if (vip.probes > watched.probes) watched.probeMs = nowMs;
      if (vip.frames > watched.frames) watched.frameMs = nowMs;
      watched.probes = vip.probes;
      watched.frames = vip.frames;
      if (nowMs - watched.probeMs < UNREACHED_MS) reached |= 1 << index;
      // What clients send does come, so it is the probes that something keeps off.
      else if (nowMs - watched.frameMs < UNREACHED_MS) continue;
      else if (missedMs(watched, vip.senders) >= UNREACHED_MS) unreached |= 1 << index;
    }
    return { reached: reached >>> 0, unreached: unreached >>> 0 };
  }
}

/** How long somebody has been heard who sent probes, and none came. Who is heard no more proves nothing from then on. */
function missedMs({ probeMs, sinceMs }: Watched, senders: ReadonlyMap<string, number>): number {
  const missed = [...senders].map(([name, heardMs]) => heardMs - Math.max(sinceMs.get(name)!, probeMs));
  return Math.max(0, ...missed);
}

function noteSenders({ sinceMs }: Watched, senders: ReadonlyMap<string, number>, nowMs: number): void {
  for (const name of sinceMs.keys()) if (!senders.has(name)) sinceMs.delete(name);
  for (const name of senders.keys()) if (!sinceMs.has(name)) sinceMs.set(name, nowMs);
}
