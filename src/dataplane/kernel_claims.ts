/**
 * What the kernel's programs know of the claims (prefilter_program.ts): a copy of each bucket's flags, and how long they
 * hold. One BPF map, which the membership thread writes along with `SharedClaims`.
 *
 * The lease in it is the fast path's own. It ends whenever the other does, and it may end alone: then packets go by the
 * packet thread, which decides by the same claims and its own lease.
 */
import { BUCKETS } from "../core/limits.ts";

/** Offsets in the map, of 64-bit numbers: nanoseconds since boot (CLOCK_BOOTTIME, as bpf_ktime_get_boot_ns has it). */
export const KERNEL_CLAIMS = {
  /** The fast path takes packets until then. */
  lease: 0,
  /** Buckets that are FRESH are left to the packet thread until then. */
  settled: 8,
  /** Not 0: the fast path takes nothing any more, whatever the lease. */
  off: 16,
  /** From here on a byte for each bucket of each table. */
  flags: 64,
} as const;

/**
 * So long (ms) packets that the fast path could take go by the ring, so that they do not overtake those of before, which
 * are decided by then if the packet thread is not held up. If it is, the order is lost, which IP permits.
 */
const BACKLOG_MS = 1_000;

/** Bytes of the map; `tableCount` as in `SharedClaims.create`. */
export function kernelClaimsBytes(tableCount: number): number {
  return KERNEL_CLAIMS.flags + tableCount * BUCKETS;
}

/** The map as memory of one thread. */
export class KernelClaims {
  readonly #flags: Uint8Array;
  readonly #control: BigInt64Array;
  #heldUntilMs = 0;

  /** `bootMs` is CLOCK_BOOTTIME in ms. */
  constructor(memory: Uint8Array<ArrayBuffer>, readonly bootMs: () => number) {
    this.#flags = memory.subarray(KERNEL_CLAIMS.flags);
    this.#control = new BigInt64Array(memory.buffer, memory.byteOffset, KERNEL_CLAIMS.flags / 8);
  }

  /** One like this that no program reads. */
  detached(): KernelClaims {
    return new KernelClaims(new Uint8Array(KERNEL_CLAIMS.flags + this.#flags.length), this.bootMs);
  }

  set(table: number, bucket: number, flags: number): void {
    this.#flags[table * BUCKETS + bucket] = flags;
  }

  /** As `SharedClaims.renewLease`: `deadline32` is a moment in ms since boot as a wrapping Int32. */
  renewLease(deadline32: number): void {
    const nowMs = Math.floor(this.bootMs());
    if (nowMs < this.#heldUntilMs) return;
    this.#write(KERNEL_CLAIMS.lease, nowMs + ((deadline32 - (nowMs | 0)) | 0));
  }

  endLease(): void {
    this.#write(KERNEL_CLAIMS.lease, 0);
  }

  /** Buckets are about to be gained: frames of theirs may wait in the ring, and what comes now must not overtake them. */
  noteGain(): void {
    this.#write(KERNEL_CLAIMS.settled, this.bootMs() + BACKLOG_MS);
  }

  /** No lease from now on: another process of this node decides, or has frames of this moment in its ring. */
  hold(): void {
    this.#heldUntilMs = Infinity;
    this.endLease();
  }

  /** Ends the hold; `afterBacklog`: once this node's rings hold no frame of before. */
  release(afterBacklog: boolean): void {
    this.#heldUntilMs = afterBacklog ? this.bootMs() + BACKLOG_MS : 0;
  }

  /** Ends the fast path for as long as the process runs. */
  switchOff(): void {
    this.#write(KERNEL_CLAIMS.off, 1);
  }

  /** In one piece, since a program may read it at any moment. Of memory that was unmapped already, nothing is left to write. */
  #write(offset: number, ms: number): void {
    if (this.#control.length > 0) {
      Atomics.store(this.#control, offset / 8, BigInt(Math.floor(ms)) * 1_000_000n);
    }
  }
}
