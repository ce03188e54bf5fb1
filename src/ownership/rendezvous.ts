/**
 * Weighted rendezvous hashing (Thaler and Ravishankar 1998; weights after Schindelhauer and Schomaker, "Weighted
 * distributed hash tables", 2005).
 *
 * Every member draws a number for every bucket, from nothing but its name and the farm's key. Its score is
 * weight·draw, and the highest score owns the bucket; equal scores go to the smaller name. With draw = 1/-ln(u) for
 * a uniform u, each member wins with probability weight / sum of weights. A member's draws do not depend on
 * the others, hence only its own buckets move when it leaves, and it takes only what it wins when it joins.
 *
 * The draws of a member never change, so they are computed once, as a column of 65,536.
 */

import { createHmac } from "node:crypto";
import { BUCKETS, MEMBERS_MAX } from "../core/limits.ts";
import { dropOldest } from "../core/oldest.ts";
import { ln } from "./ln.ts";
import { SIPHASH_KEY_BYTES, SipHasher } from "./siphash.ts";

/** The draws of one member. */
export class Draws {
  readonly #hasher: SipHasher;

  /** @param rendezvousKey of the farm; @param name the node's name: nothing else tells members apart */
  constructor(rendezvousKey: Uint8Array, name: string) {
    const digest = createHmac("sha256", rendezvousKey).update(name, "utf8").digest();
    this.#hasher = new SipHasher(new Uint8Array(digest.subarray(0, SIPHASH_KEY_BYTES)), 1, 3);
  }

  /** The draw for one bucket, between 0.04 and 9e9; the same bits on every machine. */
  draw(bucket: number): number {
    // The message is the bucket as 4 bytes, little-endian: one word, with its length in the top byte.
    this.#hasher.hashWord(bucket, 4 << 24);
    // 32 of the 64 bits suffice; the half keeps u off 0 and 1, and u is exact.
    const u = ((this.#hasher.high >>> 0) + 0.5) / 2 ** 32;
    return 1 / -ln(u);
  }
}

/** The draws of a member for all buckets. Takes some milliseconds: see {@link Columns}. */
export function column(rendezvousKey: Uint8Array, name: string): Float64Array {
  const draws = new Draws(rendezvousKey, name);
  const values = new Float64Array(BUCKETS);
  for (let bucket = 0; bucket < BUCKETS; bucket++) values[bucket] = draws.draw(bucket);
  return values;
}

/** Buckets of one group, as heartbeats name them and as services with UDP flows are owned. */
export const GROUP_BUCKETS = 64;

/** The bucket whose draws decide on this one where whole groups have one owner: the first of its group. */
export function firstOfGroup(bucket: number): number {
  return bucket & -GROUP_BUCKETS;
}

/** A column by which the buckets of each group have one owner. */
function groupedColumn(values: Float64Array): Float64Array {
  return values.map((_, bucket) => values[firstOfGroup(bucket)]);
}

/**
 * Columns kept: those of a full farm, and some of members that left and may come back. Each takes 512 KiB, so this
 * is at most 20 MiB.
 */
export const COLUMNS_KEPT_MAX = MEMBERS_MAX + 8;

/** Columns by name, computed when first asked for; the one that was not asked for the longest time goes first. */
export class Columns {
  readonly #rendezvousKey: Uint8Array;
  /** In order of last use: a Map keeps the order of insertion. */
  readonly #kept = new Map<string, Float64Array>();
  readonly #grouped = new WeakMap<Float64Array, Float64Array>();

  constructor(rendezvousKey: Uint8Array) {
    this.#rendezvousKey = rendezvousKey.slice();
  }

  /** The column of this member. Do not change it. */
  of(name: string): Float64Array {
    const values = this.#kept.get(name) ?? column(this.#rendezvousKey, name);
    this.#kept.delete(name);
    this.#kept.set(name, values);
    dropOldest(this.#kept, COLUMNS_KEPT_MAX);
    return values;
  }

  /** The same for services of which whole groups have one owner. */
  groupedOf(name: string): Float64Array {
    const values = this.of(name);
    let grouped = this.#grouped.get(values);
    if (grouped === undefined) this.#grouped.set(values, grouped = groupedColumn(values));
    return grouped;
  }

  /** Whether the column of this member is kept. */
  has(name: string): boolean {
    return this.#kept.has(name);
  }

  /** How many are kept now. */
  get size(): number {
    return this.#kept.size;
  }
}
