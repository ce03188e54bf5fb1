/**
 * Who owns which bucket, and who would if the owner left: two bytes for each of 65,536 buckets.
 *
 * A table is built when the view changes in any way; a departure, the one change that clients wait for, is taken
 * from the runners-up in place of a new build. Tables do not change once made.
 */

import { VipfarmError } from "../core/errors.ts";
import { BUCKETS, MEMBERS_MAX, WEIGHT_MAX } from "../core/limits.ts";
import { isWeight, weightFactor } from "../core/weight.ts";

/** A member as the table sees it. */
export interface WeightedMember {
  readonly name: string;
  /** Whole number, 0 to 1000, or that as a last resort (`core/weight.ts`). 0: never an owner nor a runner-up. */
  readonly weight: number;
  /** Its draws, from `rendezvous.ts`. */
  readonly column: Float64Array;
}

/** In the place of an index: nobody is eligible. */
export const NO_OWNER = 255;

/** Buckets that are worked on at a time: best and second score of each stay in the first-level cache (32 KiB). */
const BLOCK = 2048;

/** What a departure left to do: which runners-up are out of date follows from the table before it. */
interface Departure {
  readonly index: number;
  readonly ownerBefore: Uint8Array;
}

/** Owner and runner-up of every bucket, as indices into the list of members. */
export class OwnerTable {
  readonly members: readonly WeightedMember[];
  /** By bucket: the member with the highest score, or {@link NO_OWNER}. */
  readonly owner: Uint8Array;

  #runnerUp: Uint8Array;
  #departure?: Departure;

  private constructor(
    members: readonly WeightedMember[],
    owner: Uint8Array,
    runnerUp: Uint8Array,
    departure?: Departure,
  ) {
    this.members = members;
    this.owner = owner;
    this.#runnerUp = runnerUp;
    this.#departure = departure;
  }

  /**
   * The table for these members, in whatever order; the indices in the table follow the order given.
   * @throws VipfarmError if there are too many, a weight is out of range, a name is there twice, or a column has
   *   another length
   */
  static build(members: readonly WeightedMember[]): OwnerTable {
    check(members);
    const owner = new Uint8Array(BUCKETS).fill(NO_OWNER);
    const runnerUp = new Uint8Array(BUCKETS).fill(NO_OWNER);
    const order = eligible(members);
    const best = new Float64Array(BLOCK);
    const second = new Float64Array(BLOCK);
    for (let start = 0; start < BUCKETS; start += BLOCK) {
      best.fill(0);
      second.fill(0);
      for (const index of order) {
        compete(index, members[index], start, best, second, owner, runnerUp);
      }
    }
    return new OwnerTable([...members], owner, runnerUp);
  }

  /**
   * By bucket: the member with the second highest score, or {@link NO_OWNER}. The first read after a departure
   * brings it up to date, which takes about a millisecond: publish the new owners before.
   */
  get runnerUp(): Uint8Array {
    if (this.#departure !== undefined) {
      this.#runnerUp = runnersUpAfter(this.#departure, this.owner, this.#runnerUp, this.members);
      this.#departure = undefined;
    }
    return this.#runnerUp;
  }

  /**
   * The table after a departure, equal to a new build in which this member has weight 0. Indices stay the same.
   * Takes some 0.1 ms, provided that the runners-up of this table are up to date.
   * @throws VipfarmError if there is no such member
   */
  without(index: number): OwnerTable {
    if (!Number.isInteger(index) || index < 0 || index >= this.members.length) {
      throw new VipfarmError({
        operation: "remove member from owner table",
        problem: `there are ${this.members.length} members`,
        value: `index ${index}`,
      });
    }
    const members = this.members.map((member, i) => i === index ? { ...member, weight: 0 } : member);
    const owner = promote(index, this.owner, this.runnerUp);
    return new OwnerTable(members, owner, this.#runnerUp, { index, ownerBefore: this.owner });
  }

  /** How many buckets each member owns, in the order of {@link members}. */
  counts(): number[] {
    const counts = new Array<number>(NO_OWNER + 1).fill(0);
    for (let bucket = 0; bucket < BUCKETS; bucket++) counts[this.owner[bucket]]++;
    return counts.slice(0, this.members.length);
  }
}

/**
 * Whether `a` comes before `b` where scores are equal. Node names are ASCII, for which the order of UTF-16 units is
 * the order of bytes.
 */
export function nameBefore(a: string, b: string): boolean {
  return a < b;
}

/** Indices of the members that can own, by name: whoever comes later must score higher, not only as high. */
function eligible(members: readonly WeightedMember[]): number[] {
  return members.map((_, index) => index).filter((index) => members[index].weight > 0)
    .sort((a, b) => nameBefore(members[a].name, members[b].name) ? -1 : 1);
}

/** Lets one member compete for the buckets of one block. */
function compete(
  index: number,
  { weight, column }: WeightedMember,
  start: number,
  best: Float64Array,
  second: Float64Array,
  owner: Uint8Array,
  runnerUp: Uint8Array,
): void {
  const factor = weightFactor(weight);
  for (let i = 0; i < BLOCK; i++) {
    const score = factor * column[start + i];
    if (score <= second[i]) continue;
    if (score > best[i]) {
      second[i] = best[i];
      best[i] = score;
      runnerUp[start + i] = owner[start + i];
      owner[start + i] = index;
    } else {
      second[i] = score;
      runnerUp[start + i] = index;
    }
  }
}

/** The owners once the runner-up has taken over every bucket of `index`. */
function promote(index: number, owner: Uint8Array, runnerUp: Uint8Array): Uint8Array {
  const promoted = new Uint8Array(BUCKETS);
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const before = owner[bucket];
    // All ones where the leaver owned it, else zero: a branch here would be mispredicted in every other bucket.
    const mask = ((before ^ index) - 1) >> 31;
    promoted[bucket] = before ^ ((before ^ runnerUp[bucket]) & mask);
  }
  return promoted;
}

/** The runners-up after a departure: new ones where the leaver was owner or runner-up, elsewhere as before. */
function runnersUpAfter(
  { index, ownerBefore }: Departure,
  owner: Uint8Array,
  before: Uint8Array,
  members: readonly WeightedMember[],
): Uint8Array {
  const runnerUp = before.slice();
  const order = eligible(members);
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    if (ownerBefore[bucket] === index || before[bucket] === index) {
      runnerUp[bucket] = bestBut(owner[bucket], bucket, members, order);
    }
  }
  return runnerUp;
}

/** The eligible member with the highest score for the bucket, apart from `owner`. */
function bestBut(owner: number, bucket: number, members: readonly WeightedMember[], order: number[]): number {
  let best = 0;
  let winner = NO_OWNER;
  for (const index of order) {
    if (index === owner) continue;
    const score = weightFactor(members[index].weight) * members[index].column[bucket];
    if (score > best) {
      best = score;
      winner = index;
    }
  }
  return winner;
}

function check(members: readonly WeightedMember[]): void {
  const refuse = (problem: string, value: string) => {
    throw new VipfarmError({ operation: "build owner table", problem, value });
  };
  if (members.length > MEMBERS_MAX) {
    refuse(`a farm has at most ${MEMBERS_MAX} members`, `${members.length} members`);
  }
  const names = new Set<string>();
  for (const { name, weight, column } of members) {
    if (names.has(name)) refuse("two members have the same name", name);
    names.add(name);
    if (!isWeight(weight)) {
      refuse(`a weight is a whole number from 0 to ${WEIGHT_MAX}, or a last resort`, `${name}: ${weight}`);
    }
    if (column.length !== BUCKETS) {
      refuse(`a column has ${BUCKETS} values`, `${name}: ${column.length}`);
    }
  }
}
