/**
 * What the threads of one daemon share: claims and lease (written by the membership thread, read by the packet
 * threads for every packet), each packet thread's counters (written by it, read by the control thread), and how far each
 * thread has come, which the control thread can tell even if it has heard nothing of them for a while.
 *
 * Nothing here is locked. Claims are single bytes, each true for itself: no invariant spans two of them, so a
 * reader that meets a half-published change meets some buckets before and some after it, which is also what two
 * packets a microsecond apart would meet. The order that matters (release before it is announced, contested
 * before claimed) is kept by the writer.
 */
import { BUCKETS, VIRTUAL_IPS_MAX } from "../core/limits.ts";
import { type KernelClaims } from "./kernel_claims.ts";
import { VERDICTS } from "./verdicts.ts";

/** This node answers new flows of the bucket. */
export const CLAIM = 1;
/** A live member retains connections of the bucket: packets of open connections need a look at the kernel. */
export const CONTESTED = 2;
/** Not this node's bucket any more, but its kernel may still have connections of it. */
export const RETAINED = 4;
/**
 * Claimed lately: a frame that was captured before the claim belongs to whoever had the bucket then, and may have been
 * answered there, however late this node comes to look at it.
 */
export const FRESH = 8;
/**
 * Gained lately from a node that is gone: its clients still send packets of connections that no living kernel has. Ours
 * answers them with resets, at a bounded rate.
 */
export const ORPHANED = 16;

/** Word of the control block: claims hold until this moment (ms since boot, wrapping Int32). */
const LEASE_DEADLINE = 0;
/** Word of the control block: one when the packet threads are to end. */
const STOP = 1;
/** Word of the control block: which frames are decided, see {@link FrameWindow}. */
const WINDOW = 3;
/** Offset in the control block of a double: the moment that the window is about (wall clock, µs). */
const CUT_OFFSET = 16;
/** Word of the control block: turns of the membership thread's loop that have begun; {@link TURNS_OVER} once it has ended. */
const TURNS = 6;
const TURNS_OVER = -1;
/** Wraps here. */
const TURNS_MAX = 2 ** 30;
/**
 * Offset in the control block of two doubles, moments by the clock that the kernel stamps frames with (wall clock, µs): when
 * buckets were gained last, and when claims began to hold, after they had not.
 */
const SINCE_OFFSET = 32;
const GAINED = 0, HELD = 1;
const CONTROL_BYTES = 64;
/** CLAIM in each of four neighbouring flags. */
const CLAIM_OF_FOUR = CLAIM * 0x0101_0101;

/**
 * Which captured frames the packet threads decide: `all`; while another process of this node decides (a program that is
 * being replaced): `none`, or `later` (they wait in the ring); and those captured after the cut, or up to the cut.
 */
export const FRAME_WINDOWS = ["all", "none", "later", "afterCut", "upToCut"] as const;
export type FrameWindow = (typeof FRAME_WINDOWS)[number];

/** Claims and lease of one daemon, over memory that its threads share. */
export class SharedClaims {
  readonly tables: readonly Uint8Array[];
  readonly #control: Int32Array;
  readonly #cut: Float64Array;
  readonly #since: Float64Array;

  /** `kernel` is written along with this: what the kernel's programs go by (prefilter.ts). */
  constructor(readonly buffer: SharedArrayBuffer, readonly kernel?: KernelClaims) {
    this.#control = new Int32Array(buffer, 0, CONTROL_BYTES / 4);
    this.#cut = new Float64Array(buffer, CUT_OFFSET, 1);
    this.#since = new Float64Array(buffer, SINCE_OFFSET, 2);
    const count = (buffer.byteLength - CONTROL_BYTES) / BUCKETS;
    this.tables = Array.from(
      { length: count },
      (_, table) => new Uint8Array(buffer, CONTROL_BYTES + table * BUCKETS, BUCKETS),
    );
  }

  /** `tableCount` counts table 0 (presence) and one table for each service. The lease starts run out. */
  static create(tableCount: number, now32: number, kernel?: KernelClaims): SharedClaims {
    const claims = new SharedClaims(new SharedArrayBuffer(CONTROL_BYTES + tableCount * BUCKETS), kernel);
    claims.silence(now32);
    return claims;
  }

  /** Writes a bucket's flags, here and in the kernel: whatever finds a claim here was let through there. */
  set(table: number, bucket: number, flags: number): void {
    if (flags !== 0) this.kernel?.set(table, bucket, flags);
    this.tables[table][bucket] = flags;
    if (flags === 0) this.kernel?.set(table, bucket, 0);
  }

  /** How many buckets of the table this node claims. Takes four flags at a time: every status asks for it. */
  claimedCount(table: number): number {
    const { byteOffset } = this.tables[table];
    let claimed = 0;
    const words = new Int32Array(this.buffer, byteOffset, BUCKETS / 4);
    // The product's top byte is the sum of the word's four claim bits.
    for (let i = 0; i < words.length; i++) claimed += Math.imul(words[i] & CLAIM_OF_FOUR, 0x0101_0101) >>> 24;
    return claimed;
  }

  /** Claims hold until `deadline32` (ms since boot as a wrapping Int32). */
  renewLease(deadline32: number): void {
    Atomics.store(this.#control, LEASE_DEADLINE, deadline32);
    this.kernel?.renewLease(deadline32);
  }

  /** Ends the lease at once: from here on neither the packet threads nor the kernel accept anything. */
  silence(now32: number): void {
    this.kernel?.endLease();
    Atomics.store(this.#control, LEASE_DEADLINE, (now32 - 1) | 0);
  }

  /** True while claims hold. The difference wraps with the clock: right as long as a lease is under 24 days. */
  leaseHolds(now32: number): boolean {
    return ((Atomics.load(this.#control, LEASE_DEADLINE) - now32) | 0) > 0;
  }

  /** Buckets are about to be gained, at this moment (wall clock, µs). Before their claims. */
  noteGain(nowUs: number): void {
    this.#since[GAINED] = nowUs;
    this.kernel?.noteGain();
  }

  /** Whether a frame was captured (wall clock, µs) before the last gain of buckets. */
  isBeforeGain(capturedUs: number): boolean {
    return capturedUs < this.#since[GAINED];
  }

  /** Claims are about to hold that did not until this moment (wall clock, µs). Before the lease. */
  noteHold(nowUs: number): void {
    this.#since[HELD] = nowUs;
  }

  /** Whether a frame was captured (wall clock, µs) when claims did not hold: others may have answered it. After the lease. */
  isBeforeHold(capturedUs: number): boolean {
    return capturedUs < this.#since[HELD];
  }

  /** The cut is there before the window is. */
  setWindow(window: FrameWindow, cutUs = 0): void {
    this.#cut[0] = cutUs;
    Atomics.store(this.#control, WINDOW, FRAME_WINDOWS.indexOf(window));
  }

  get window(): FrameWindow {
    return FRAME_WINDOWS[Atomics.load(this.#control, WINDOW)];
  }

  get cutUs(): number {
    return this.#cut[0];
  }

  /** The membership thread's loop begins a turn. */
  noteTurn(): void {
    Atomics.store(this.#control, TURNS, (Atomics.load(this.#control, TURNS) + 1) % TURNS_MAX);
  }

  /** The membership thread's loop has ended in order. */
  endTurns(): void {
    Atomics.store(this.#control, TURNS, TURNS_OVER);
  }

  /** Changes as long as the membership thread lives, whoever has time to hear of it; undefined once it has ended in order. */
  get turns(): number | undefined {
    const turns = Atomics.load(this.#control, TURNS);
    return turns === TURNS_OVER ? undefined : turns;
  }

  requestStop(): void {
    Atomics.store(this.#control, STOP, 1);
  }

  get stopRequested(): boolean {
    return Atomics.load(this.#control, STOP) === 1;
  }
}

/** Counters beside the verdicts, in the order of their slots. */
export const EXTRA_COUNTERS = [
  /** Frames taken from the ring; equals the sum of the verdicts. */
  "captured",
  /** Bytes of the frames written to the TUN device. */
  "injected_bytes",
  /** SYNs accepted for buckets that this node claims: new TCP flows. */
  "new_flows",
  /** Held fragments that were written to the TUN device after their first fragment came. */
  "fragments_released",
  /** Held fragments given up: their first fragment was not ours or never came. */
  "fragments_expired",
  /** Times the packet thread went to sleep in poll(2). */
  "sleeps",
  /** Frames the kernel dropped because the ring was full. */
  "ring_drops",
] as const;
export type ExtraCounter = (typeof EXTRA_COUNTERS)[number];

const COUNTER_SLOTS = VERDICTS.length + EXTRA_COUNTERS.length;
/** Word of the state block: sweeps of the ring that have ended (wrapping Int32). */
const SWEEPS = 0;
/** Word of the state block: one once the packet thread runs, two once it has ended. */
const RUN_STATE = 1;
const STATE_BYTES = 64;

/** Counters and progress of one packet thread. One writer; readers on other threads see each number whole. */
export class SharedCounters {
  readonly slots: Float64Array;
  /** Probes of the LAN that came, by index of the virtual IP in the thread's plan. */
  readonly probes: Float64Array;
  readonly #state: Int32Array;

  constructor(readonly buffer: SharedArrayBuffer) {
    this.#state = new Int32Array(buffer, 0, STATE_BYTES / 4);
    this.slots = new Float64Array(buffer, STATE_BYTES, COUNTER_SLOTS);
    this.probes = new Float64Array(buffer, STATE_BYTES + COUNTER_SLOTS * 8, VIRTUAL_IPS_MAX);
  }

  static create(): SharedCounters {
    return new SharedCounters(new SharedArrayBuffer(STATE_BYTES + (COUNTER_SLOTS + VIRTUAL_IPS_MAX) * 8));
  }

  /** The counters by name, for the admin endpoint. */
  read(): Record<string, number> {
    const names = [...VERDICTS, ...EXTRA_COUNTERS];
    return Object.fromEntries(names.map((name, slot) => [name, this.slots[slot]]));
  }

  noteSweep(): void {
    Atomics.add(this.#state, SWEEPS, 1);
  }

  /** Once this number has changed, whatever was decided by claims as they were before is in the kernel. */
  get sweeps(): number {
    return Atomics.load(this.#state, SWEEPS);
  }

  setRunState(state: 1 | 2): void {
    Atomics.store(this.#state, RUN_STATE, state);
  }

  get runState(): number {
    return Atomics.load(this.#state, RUN_STATE);
  }
}

/** Slot of a counter beside the verdicts. */
export const EXTRA = Object.fromEntries(
  EXTRA_COUNTERS.map((name, index) => [name, VERDICTS.length + index]),
) as Record<ExtraCounter, number>;
