/**
 * The simulator's rule, held against traces of real daemons (src/dataplane/claims_trace.ts): no bucket is claimed by two
 * nodes at one time. Pure.
 */

import { BUCKETS } from "../../src/core/limits.ts";
import type { TraceLine } from "../../src/dataplane/claims_trace.ts";
import { claimsBucket } from "../../src/membership/claims.ts";
import type { ClaimsBasis } from "../../src/membership/types.ts";

/** One bit for each bucket. */
type Claimed = Uint32Array;

/** What a node may have claimed in a stretch of time: a bucket that is being gained or given up counts. */
interface Stretch {
  readonly node: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly claimed: Claimed;
}

/** What was found in a run. */
export interface TraceFinding {
  /** Two nodes, a time, and how many buckets both claimed; empty: the rule held. */
  readonly overlaps: readonly string[];
  /** Publications of claims, and renewals of leases, over all nodes. */
  readonly publications: number;
  readonly leases: number;
  /** Buckets that somebody claims at the end. */
  readonly claimedAtEnd: number;
}

/** Draws of a member, by bucket: ownership/rendezvous.ts. */
export type ColumnOf = (name: string) => Float64Array;

/** Holds traces of all nodes of a farm, in the order of writing, to the rule; of one table. */
export function checkTraces(
  traces: ReadonlyMap<string, readonly TraceLine[]>,
  columnOf: ColumnOf,
  table: number,
): TraceFinding {
  const claimedBy = new Map<string, Claimed>();
  const claimedOf = (basis: ClaimsBasis) => {
    const key = JSON.stringify(basis);
    const known = claimedBy.get(key) ?? claimed(basis, columnOf, table);
    claimedBy.set(key, known);
    return known;
  };
  const stretches = [...traces].flatMap(([node, lines]) => stretchesOf(node, lines, claimedOf));
  const overlaps: string[] = [];
  const inOrder = stretches.toSorted((a, b) => a.fromMs - b.fromMs);
  for (const [i, a] of inOrder.entries()) {
    for (let j = i + 1; j < inOrder.length && inOrder[j].fromMs < a.toMs; j++) {
      const b = inOrder[j];
      if (a.node === b.node) continue;
      const both = count(a.claimed.map((word, k) => word & b.claimed[k]));
      if (both === 0) continue;
      const untilMs = Math.min(a.toMs, b.toMs);
      overlaps.push(`${a.node} and ${b.node} both claim ${both} buckets from ${b.fromMs} to ${untilMs}`);
    }
  }
  const endMs = Math.max(...inOrder.map(({ toMs }) => toMs));
  const last = [...traces.keys()].map((node) => inOrder.findLast((stretch) => stretch.node === node));
  const atEnd = new Uint32Array(BUCKETS / 32);
  for (const stretch of last) {
    // A lease that ran out long before the others' end belongs to a node that is gone.
    if (stretch === undefined || stretch.toMs < endMs - 1_000) continue;
    for (let k = 0; k < atEnd.length; k++) atEnd[k] |= stretch.claimed[k];
  }
  const lines = [...traces.values()].flat();
  return {
    overlaps,
    publications: lines.filter(({ kind }) => kind === "claims").length,
    leases: lines.filter(({ kind }) => kind === "lease").length,
    claimedAtEnd: count(atEnd),
  };
}

function claimed(basis: ClaimsBasis, columnOf: ColumnOf, table: number): Claimed {
  const names = [basis.ownName, ...basis.members.map(({ name }) => name)];
  const columns = new Map(names.map((name) => [name, columnOf(name)]));
  const bits = new Uint32Array(BUCKETS / 32);
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    if (claimsBucket(basis, table, (name) => columns.get(name)![bucket])) {
      bits[bucket >> 5] |= 1 << (bucket & 31);
    }
  }
  return bits;
}

function stretchesOf(
  node: string,
  lines: readonly TraceLine[],
  claimedOf: (basis: ClaimsBasis) => Claimed,
): Stretch[] {
  const stretches: Stretch[] = [];
  const none: Claimed = new Uint32Array(BUCKETS / 32);
  let now: Claimed = none, sinceMs = 0, leaseMs = 0;
  const end = (atMs: number) => {
    const toMs = Math.min(atMs, leaseMs);
    if (toMs > sinceMs && now !== none) stretches.push({ node, fromMs: sinceMs, toMs, claimed: now });
    sinceMs = atMs;
  };
  for (const line of lines) {
    if (line.kind === "start") {
      end(line.atMs);
      now = none;
      leaseMs = 0;
    } else if (line.kind === "claims") {
      end(line.fromMs);
      const next = claimedOf(line.basis);
      const before = now;
      now = next.map((word, k) => word | before[k]);
      end(line.toMs);
      now = next;
    } else {
      end(line.atMs);
      leaseMs = line.deadlineMs;
    }
  }
  end(leaseMs);
  return stretches;
}

function count(bits: Uint32Array): number {
  let ones = 0;
  for (let word of bits) for (; word !== 0; word = (word & (word - 1)) >>> 0) ones++;
  return ones;
}
