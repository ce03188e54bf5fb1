/**
 * UDP flows that had packets lately, for services that ask for it: what the kernel's socket table is for TCP. One packet
 * thread writes it, the control thread reads it. It has fixed room and allocates nothing: when a flood has filled the
 * places where a new flow may stand, that flow is served like any other, and merely does not stay when its group of
 * buckets moves.
 */
import { readInt32 } from "../wire/bytes.ts";

/** Flows that one packet thread remembers: two megabytes, and a look at all of them takes a millisecond. */
export const FLOWS_MAX = 65_536;
/** Places where one flow may stand. More would cost each packet of a new flow more. */
const WAYS = 8;
const SETS = FLOWS_MAX / WAYS;

/** Words of one place: client address (IPv4 in the first of four), ports, what it belongs to, when it was seen. */
const PORTS = 4, PLACE = 5, SEEN = 6, WORDS = 7;
const SERVICE_SHIFT = 5, BUCKET_SHIFT = 11;

/** Where a flow belongs. */
export interface FlowPlace {
  /** Index of the virtual IP, below 32. */
  vip: number;
  /** Number of the service, up to 32. */
  service: number;
  bucket: number;
}

export class FlowTable {
  readonly #words: Int32Array;

  /** `timeoutsMs` by service number; 0: this service keeps no flows. */
  constructor(readonly buffer: SharedArrayBuffer, readonly timeoutsMs: readonly number[]) {
    this.#words = new Int32Array(buffer);
  }

  static create(timeoutsMs: readonly number[]): FlowTable {
    return new FlowTable(new SharedArrayBuffer(FLOWS_MAX * WORDS * 4), timeoutsMs);
  }

  /**
   * Notes a packet of a flow. One that is not known, or was idle for too long, is remembered only if it `isOwn`, and if
   * there is room. `ports` are the client's and the service's, 16 bits each; `now32` is a clock in milliseconds that wraps
   * as an Int32.
   */
  note(
    bytes: Uint8Array,
    addressOffset: number,
    family: number,
    ports: number,
    { vip, service, bucket }: FlowPlace,
    now32: number,
    isOwn: boolean,
  ): void {
    const words = this.#words;
    const place = vip | (service << SERVICE_SHIFT) | (bucket << BUCKET_SHIFT);
    const a = readInt32(bytes, addressOffset);
    const b = family === 4 ? 0 : readInt32(bytes, addressOffset + 4);
    const c = family === 4 ? 0 : readInt32(bytes, addressOffset + 8);
    const d = family === 4 ? 0 : readInt32(bytes, addressOffset + 12);
    const start = firstWord(place, ports);
    let free = -1;
    for (let at = start; at < start + WAYS * WORDS; at += WORDS) {
      if (!this.#lives(at, now32)) {
        if (free < 0) free = at;
      } else if (
        words[at + PORTS] === ports && words[at + PLACE] === place && words[at] === a &&
        words[at + 1] === b && words[at + 2] === c && words[at + 3] === d
      ) {
        words[at + SEEN] = seen(now32);
        return;
      }
    }
    if (!isOwn || free < 0) return;
    words[free + SEEN] = 0; // a reader in between finds an empty place
    words[free] = a;
    words[free + 1] = b;
    words[free + 2] = c;
    words[free + 3] = d;
    words[free + PORTS] = ports;
    words[free + PLACE] = place;
    words[free + SEEN] = seen(now32);
  }

  /** Visits the flows that are not idle for too long. */
  each(now32: number, visit: (service: number, bucket: number) => void): void {
    for (let at = 0; at < FLOWS_MAX * WORDS; at += WORDS) {
      if (!this.#lives(at, now32)) continue;
      const place = this.#words[at + PLACE];
      visit((place >>> SERVICE_SHIFT) & 63, place >>> BUCKET_SHIFT);
    }
  }

  /** The flows that are not idle for too long, for another process of this node. */
  save(now32: number): Uint8Array<ArrayBuffer> {
    const kept = new Int32Array(FLOWS_MAX * WORDS);
    let length = 0;
    for (let at = 0; at < kept.length; at += WORDS) {
      if (!this.#lives(at, now32)) continue;
      kept.set(this.#words.subarray(at, at + WORDS), length);
      length += WORDS;
    }
    return new Uint8Array(kept.buffer.slice(0, length * 4));
  }

  /** Takes over what {@link save} gave. */
  restore(saved: Uint8Array): void {
    const words = new Int32Array(saved.slice().buffer);
    for (let from = 0; from + WORDS <= words.length; from += WORDS) {
      const start = firstWord(words[from + PLACE], words[from + PORTS]);
      for (let at = start; at < start + WAYS * WORDS; at += WORDS) {
        if (this.#words[at + SEEN] !== 0) continue;
        this.#words.set(words.subarray(from, from + WORDS), at);
        break;
      }
    }
  }

  #lives(at: number, now32: number): boolean {
    const words = this.#words;
    if (words[at + SEEN] === 0) return false;
    const idleMs = (now32 - words[at + SEEN]) | 0;
    // A little negative: seen between the reading of the clock and now. Much: weeks ago, and the clock has wrapped.
    return idleMs > -1_000 && idleMs < this.timeoutsMs[(words[at + PLACE] >>> SERVICE_SHIFT) & 63];
  }
}

/** A time that is not 0, which marks an empty place. */
function seen(now32: number): number {
  return now32 === 0 ? 1 : now32;
}

/** Where the places of a flow begin. The bucket in `place` is a keyed hash already; the ports spread one client. */
function firstWord(place: number, ports: number): number {
  const mixed = Math.imul((place >>> BUCKET_SHIFT) ^ Math.imul(ports, 0x9e37_79b1), 0x85eb_ca6b);
  return ((mixed >>> 16) % SETS) * WAYS * WORDS;
}
