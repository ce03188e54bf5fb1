/**
 * From what the membership thread knows to what the packet threads read: owner tables are built from the claims
 * basis and written, byte by byte, into shared memory. Runs on the membership thread.
 */
import { BUCKETS } from "../core/limits.ts";
import { type ClaimsBasis } from "../membership/types.ts";
import { GROUP_BUCKETS } from "../ownership/rendezvous.ts";
import { ServiceTables } from "../ownership/service_tables.ts";
import { CLAIM, CONTESTED, FRESH, ORPHANED, RETAINED, SharedClaims } from "./shared.ts";

const GROUP_BITMAP_BYTES = BUCKETS / GROUP_BUCKETS / 8;
/**
 * For so long (ms) frames are looked for that were captured before a gain, or while claims did not hold: a packet thread
 * that keeps them waiting for longer was ended meanwhile (supervisor/watchdog.ts). It is also how long a wall clock that
 * is set back can make new frames look like old ones.
 */
const FRESH_MS = 5_000;
/** Packets of orphans are looked for this long (ms): a client whose connection stands still sends again within it. */
const ORPHANED_MS = 60_000;
/** A view change of a small farm that takes no longer than this (ms) runs as compiled code. */
const WARM_MS = 4;
/** On a machine so busy that it never gets there, a node does not wait longer (ms) for it before it joins. */
const WARM_UP_MS_MAX = 500;
/** Nor longer than this, should the wall clock be set back meanwhile. */
const WARM_UP_ROUNDS_MAX = 50;
/** One bit for each bucket: what the control thread tells of the kernel's connections. */
export const BUCKET_BITMAP_BYTES = BUCKETS / 8;

/** What the publisher is told of each table. */
export interface PublishedTable {
  /** Whether its connections are known, so that buckets can be retained. */
  keepsConnections: boolean;
  /**
   * They are UDP flows that this node remembers. No packet of them says that it is the first, so of a bucket that is
   * contested one node must serve them all, known or not: the one that retains it. Heartbeats tell retained buckets by
   * groups, and to be exact each group has one owner.
   */
  flows?: boolean;
}

export class ClaimsPublisher {
  readonly #owners: ServiceTables;
  /** Raised with each loss of buckets, so that an older look at the kernel is not taken for a newer one. */
  #lossCount = 0;
  #gainedMs = -Infinity;
  /** When claims began to hold, if frames from before are still looked for. */
  #heldMs: number | undefined;
  /** Whether any bucket may be marked as fresh. */
  #anyFresh = false;
  /** When buckets were last taken over from a node that is gone; undefined: none of them is marked any more. */
  #orphanedMs: number | undefined;
  /** Names in the basis that was published last. */
  #members: readonly string[] = [];
  /** By table: whether connections in buckets that are lost stay here. */
  readonly #keeps: boolean[];

  /** `wallMs` is the clock that the kernel stamps captured frames with: CLOCK_REALTIME, in ms with fractions. */
  constructor(
    rendezvousKey: Uint8Array,
    readonly claims: SharedClaims,
    readonly tables: readonly PublishedTable[],
    readonly wallMs: () => number,
  ) {
    this.#owners = new ServiceTables(rendezvousKey, tables.map(({ flows }) => flows === true));
    this.#keeps = tables.map(({ keepsConnections }) => keepsConnections);
  }

  /** How often buckets with possible connections were lost so far. */
  get lossCount(): number {
    return this.#lossCount;
  }

  /** Computes the column of a member ahead of need: 65,536 hashes that no takeover should have to wait for. */
  prepare(name: string): void {
    this.#owners.prepare(name);
  }

  /** Whether the column of this member is there already. */
  prepared(name: string): boolean {
    return this.#owners.prepared(name);
  }

  /**
   * Runs every computation of a view change on claims of its own, until it is fast: interpreted code takes tens of
   * milliseconds for what compiled code does in one or two, and a short heartbeat interval has none to spare.
   */
  warmUp(ownName: string): void {
    const { buffer } = SharedClaims.create(this.tables.length, 0);
    const other = new ClaimsPublisher(
      new Uint8Array(32),
      new SharedClaims(buffer, this.claims.kernel?.detached()),
      this.tables,
      this.wallMs,
    );
    const weights = (weight: number) => this.tables.map((_, table) => table === 0 ? 1 : weight);
    const members = ["a", "b"].map((suffix) => ({ name: `${ownName}.${suffix}`, weights: weights(100) }));
    const own = { ownName, ownWeights: weights(100), ownPreviousWeights: undefined };
    const everyGroup = new Uint8Array(GROUP_BITMAP_BYTES).fill(0xff);
    const views: ClaimsBasis[] = [
      { ...own, members: [] },
      { ...own, members: members.slice(0, 1) },
      { ...own, members },
      { ...own, ownPreviousWeights: weights(200), members },
      { ...own, members: members.slice(1) },
      { ...own, ownWeights: weights(0), members },
    ];
    const startedMs = this.wallMs();
    for (let round = 0; round < WARM_UP_ROUNDS_MAX; round++) {
      let slowestMs = 0;
      for (const view of views) {
        const fromMs = this.wallMs();
        other.publish(view, (table) => table === 1 ? everyGroup : undefined);
        slowestMs = Math.max(slowestMs, this.wallMs() - fromMs);
      }
      if (slowestMs <= WARM_MS || this.wallMs() - startedMs > WARM_UP_MS_MAX) return;
    }
  }

  /**
   * Writes the claims that follow from `basis`. Buckets lost to a live member become retained until the control
   * thread has looked which connections the kernel has. Returns the tables whose retained buckets changed.
   */
  publish(basis: ClaimsBasis, contested: (table: number) => Uint8Array | undefined): number[] {
    const nowMs = this.wallMs();
    // Buckets gained by the publication before this one may still meet frames that are older than either.
    const stillFresh = Math.abs(nowMs - this.#gainedMs) < FRESH_MS ? FRESH : 0;
    const names = basis.members.map(({ name }) => name);
    const orphaned = this.#members.some((name) => !names.includes(name)) ? ORPHANED : 0;
    this.#members = names;
    if (orphaned !== 0) this.#orphanedMs = nowMs;
    return this.tables.map((_, table) => table).filter((table) =>
      this.#publishTable(
        table,
        basis,
        contested(table),
        stillFresh,
        this.tables[table].keepsConnections && !this.#hasFlows(table) ? orphaned : 0,
      )
    );
  }

  /**
   * Claims hold until `deadline32`; `now32` is the present moment (both in ms since boot, as wrapping Int32). If they did not
   * until now, others may have replaced this node, and answered what still waits in the ring: that is left to them.
   */
  renewLease(deadline32: number, now32: number): void {
    if (!this.claims.leaseHolds(now32)) {
      this.#heldMs = this.wallMs();
      this.claims.noteHold(this.#heldMs * 1e3);
    }
    this.claims.renewLease(deadline32);
  }

  /** Called before the first claim is written that was not there before. */
  #noteGain(): void {
    this.#gainedMs = this.wallMs();
    this.#anyFresh = true;
    this.claims.noteGain(this.#gainedMs * 1e3);
  }

  #publishTable(
    table: number,
    basis: ClaimsBasis,
    contested: Uint8Array | undefined,
    stillFresh: number,
    orphaned: number,
  ): boolean {
    const others = basis.members.map(({ name, weights }) => ({ name, weight: weights[table] ?? 0 }));
    const weight = basis.ownWeights[table] ?? 0;
    const previousWeight = basis.ownPreviousWeights?.[table] ?? weight;
    // Who claims nothing needs no table: a joiner, a node that drains or leaves.
    const claimsAny = weight > 0 && previousWeight > 0;
    const membersWith = (own: number) => [{ name: basis.ownName, weight: own }, ...others];
    const owner = claimsAny ? this.#owners.next(table, membersWith(weight)).owner : undefined;
    const previousOwner = claimsAny && previousWeight !== weight
      ? this.#owners.build(table, membersWith(previousWeight)).owner
      : owner;
    const bytes = this.claims.tables[table];
    const keeps = this.#keeps[table];
    const flows = this.#hasFlows(table);
    let lost = false, gained = false, regained = false;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const before = bytes[bucket];
      let flags = 0;
      // Member 0 of both tables is this node.
      if (owner !== undefined && owner[bucket] === 0 && previousOwner![bucket] === 0) {
        // Retained until the claim has proved itself: see `prune`.
        flags = CLAIM | (before & (stillFresh | RETAINED | ORPHANED));
        // Of flows, a claim that is contested is served by who retains them, up to now.
        const served = (before & CLAIM) !== 0 && !(flows && endsContest(before, contested, bucket));
        if ((before & (RETAINED | CLAIM)) === RETAINED) regained = true;
        if (!served) {
          flags |= FRESH | orphaned;
          if (!gained) this.#noteGain();
          gained = true;
        }
      } else if (
        keeps && (before & CLAIM) !== 0 && !(flows && (before & (CONTESTED | RETAINED)) === CONTESTED)
      ) {
        flags = RETAINED;
        lost = true;
      } else {
        flags = before & RETAINED;
      }
      if (inGroup(contested, bucket)) flags |= CONTESTED;
      if (flags !== before) this.claims.set(table, bucket, flags);
    }
    if (lost) this.#lossCount++;
    return lost || regained;
  }

  /**
   * This kernel has connections in these buckets (one bit for each), from before this program was started: they are
   * retained as if they had been lost.
   */
  retain(table: number, held: Uint8Array): void {
    if (!this.#keeps[table]) return;
    const bytes = this.claims.tables[table];
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      if (!hasBit(held, bucket) || (bytes[bucket] & CLAIM) !== 0) continue;
      this.claims.set(table, bucket, bytes[bucket] | RETAINED);
    }
  }

  /** Ends the marks of fresh claims and of orphans when it is time. To be called about once a second. */
  expireMarks(): void {
    const nowMs = this.wallMs();
    if (this.#heldMs !== undefined && Math.abs(nowMs - this.#heldMs) >= FRESH_MS) {
      this.#heldMs = undefined;
      this.claims.noteHold(-Infinity);
    }
    if (this.#anyFresh && Math.abs(nowMs - this.#gainedMs) >= FRESH_MS) {
      this.#anyFresh = false;
      this.#clear(FRESH);
    }
    if (this.#orphanedMs !== undefined && Math.abs(nowMs - this.#orphanedMs) >= ORPHANED_MS) {
      this.#orphanedMs = undefined;
      this.#clear(ORPHANED);
    }
  }

  #clear(mark: number): void {
    this.claims.tables.forEach((bytes, table) => {
      for (let bucket = 0; bucket < BUCKETS; bucket++) {
        if ((bytes[bucket] & mark) !== 0) this.claims.set(table, bucket, bytes[bucket] & ~mark);
      }
    });
  }

  /**
   * Says for each table whether connections in buckets that it loses are kept from now on. Where they are not, nothing is
   * retained any more: the claimant's kernel resets what is left. Returns the tables whose retained buckets changed.
   */
  keep(retain: readonly boolean[] | undefined): number[] {
    return this.tables.flatMap(({ keepsConnections }, table) => {
      this.#keeps[table] = keepsConnections && (retain?.[table] ?? true);
      return this.#keeps[table] || !this.#release(table) ? [] : [table];
    });
  }

  /**
   * This node accepts nothing any more, which goes for flows that it retains too: whoever claims them must not wait.
   * Returns the tables whose retained buckets changed.
   */
  releaseFlows(): number[] {
    return this.tables.flatMap((_, table) => this.#hasFlows(table) && this.#release(table) ? [table] : []);
  }

  /** Retains nothing in this table. True if it did. */
  #release(table: number): boolean {
    const bytes = this.claims.tables[table];
    let released = false;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      if ((bytes[bucket] & RETAINED) === 0) continue;
      this.claims.set(table, bucket, bytes[bucket] & ~RETAINED);
      released = true;
    }
    return released;
  }

  /**
   * Writes only which buckets are contested: members' open connections came or went, claims did not change. `gone`: they
   * went with their node.
   */
  publishContested(contested: (table: number) => Uint8Array | undefined, gone: boolean): void {
    if (gone) this.#orphanedMs = this.wallMs();
    this.claims.tables.forEach((bytes, table) => {
      const bitmap = contested(table);
      const flows = this.#hasFlows(table);
      let gained = false;
      for (let bucket = 0; bucket < BUCKETS; bucket++) {
        const before = bytes[bucket];
        let flags = inGroup(bitmap, bucket) ? before | CONTESTED : before & ~CONTESTED;
        if (flags === before) continue;
        if ((flags & (CLAIM | CONTESTED)) === CLAIM) {
          if (flows) {
            if (!gained) this.#noteGain();
            gained = true;
            flags |= FRESH;
          } else if (gone) {
            flags |= ORPHANED;
          }
        }
        this.claims.set(table, bucket, flags);
      }
    });
  }

  /**
   * Takes what the kernel was found to hold (`held`: one bit for each bucket): buckets without a connection are
   * retained no longer. Nor are those that are claimed again, but only once the lease holds and no frame waits that was
   * captured before: until then a packet of an open connection would be dropped, and its sender may wait for long before
   * it sends it again. Returns false, and changes nothing, when buckets were lost after the look began.
   */
  prune(table: number, held: Uint8Array, lossCount: number, now32: number): boolean {
    if (lossCount !== this.#lossCount) return false;
    const bytes = this.claims.tables[table];
    const settled = Math.abs(this.wallMs() - this.#gainedMs) >= FRESH_MS && this.claims.leaseHolds(now32);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      if ((bytes[bucket] & RETAINED) === 0) continue;
      if (!hasBit(held, bucket) || (settled && (bytes[bucket] & CLAIM) !== 0)) {
        this.claims.set(table, bucket, bytes[bucket] & ~RETAINED);
      }
    }
    return true;
  }

  /**
   * The groups of 64 buckets in which this node retains any; undefined when there is none. Heartbeats tell those only that
   * it does not claim as well: of the others nobody else takes packets, so there is nothing to contest.
   */
  retainedGroups(table: number, claimedToo = false): Uint8Array | undefined {
    const mask = claimedToo ? RETAINED : RETAINED | CLAIM;
    const bytes = this.claims.tables[table];
    let groups: Uint8Array | undefined;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      if ((bytes[bucket] & mask) !== RETAINED) continue;
      groups ??= new Uint8Array(GROUP_BITMAP_BYTES);
      const group = (bucket / GROUP_BUCKETS) | 0;
      groups[group >> 3] |= 1 << (group & 7);
    }
    return groups;
  }

  #hasFlows(table: number): boolean {
    return this.tables[table].flows === true;
  }
}

function hasBit(bitmap: Uint8Array, index: number): boolean {
  return (bitmap[index >> 3] & (1 << (index & 7))) !== 0;
}

function inGroup(bitmap: Uint8Array | undefined, bucket: number): boolean {
  return bitmap !== undefined && hasBit(bitmap, bucket >> 6);
}

/** Whether a bucket that was contested is not so any more. */
function endsContest(before: number, contested: Uint8Array | undefined, bucket: number): boolean {
  return (before & (CONTESTED | RETAINED)) === CONTESTED && !inGroup(contested, bucket);
}
