/**
 * The SYNs that one packet thread has let in while connections of other nodes may be in their buckets, with their sequence
 * numbers: a packet that follows tells by its own whether it belongs to that SYN. Fixed room, nothing allocated; what a flood
 * overwrites is judged as if it had never been noted.
 */
import { readInt32 } from "../wire/bytes.ts";
import { type PacketView } from "../wire/view.ts";

/** SYNs that are remembered, in one megabyte: as many as are forged for half of the ports that a client can have. */
const SYNS_MAX = 32_768;
/** Places where one may stand. The one that is there for longest makes room. */
const WAYS = 8;
const SETS = SYNS_MAX / WAYS;
/** Words of one: client address (IPv4 in the first of four), ports, virtual IP, sequence number, when it came. */
const PORTS = 4, VIP = 5, SEQUENCE = 6, SEEN = 7, WORDS = 8;
/** Where a TCP header has it (RFC 9293 section 3.1). */
const SEQUENCE_NUMBER = 4;
/** The kernel repeats its answer for about a minute (tcp_synack_retries), and cookies are good for two (net/ipv4/syncookies.c). */
const KEPT_MS = 64_000;
/** What a client may have sent, in bytes, before its first packet arrives: several initial windows. */
const AHEAD_MAX = 1 << 18;

/** What is known of the SYN of a packet's flow. */
export const SYN = { unknown: 0, same: 1, other: 2 } as const;

export class SynTable {
  readonly #words = new Int32Array(SYNS_MAX * WORDS);

  /** Notes the SYN in `view`, to a virtual IP by its index. `now32` is a clock in milliseconds that wraps as an Int32. */
  note(bytes: Uint8Array, view: PacketView, vip: number, now32: number): void {
    const words = this.#words;
    let at = this.#find(bytes, view, vip, now32);
    if (at < 0) at = this.#oldest(firstWord(bytes, view), now32);
    for (let word = 0; word < PORTS; word++) words[at + word] = addressWord(bytes, view, word);
    words[at + PORTS] = portsOf(view);
    words[at + VIP] = vip;
    words[at + SEQUENCE] = sequenceOf(bytes, view);
    words[at + SEEN] = now32 === 0 ? 1 : now32;
  }

  /** Whether the packet in `view`, which is no SYN, belongs to the last SYN of its flow: one of {@link SYN}. */
  judge(bytes: Uint8Array, view: PacketView, vip: number, now32: number): number {
    const at = this.#find(bytes, view, vip, now32);
    if (at < 0) return SYN.unknown;
    const ahead = (sequenceOf(bytes, view) - this.#words[at + SEQUENCE] - 1) | 0;
    return ahead >= 0 && ahead < AHEAD_MAX ? SYN.same : SYN.other;
  }

  /** Where the flow stands; -1: nowhere. */
  #find(bytes: Uint8Array, view: PacketView, vip: number, now32: number): number {
    const words = this.#words, start = firstWord(bytes, view), ports = portsOf(view);
    for (let at = start; at < start + WAYS * WORDS; at += WORDS) {
      if (
        words[at + PORTS] === ports && words[at + VIP] === vip && this.#ageMs(at, now32) <= KEPT_MS &&
        words[at] === addressWord(bytes, view, 0) && words[at + 1] === addressWord(bytes, view, 1) &&
        words[at + 2] === addressWord(bytes, view, 2) && words[at + 3] === addressWord(bytes, view, 3)
      ) return at;
    }
    return -1;
  }

  #oldest(start: number, now32: number): number {
    let oldest = start;
    for (let at = start + WORDS; at < start + WAYS * WORDS; at += WORDS) {
      if (this.#ageMs(at, now32) > this.#ageMs(oldest, now32)) oldest = at;
    }
    return oldest;
  }

  /** Infinite where nothing stands, or what came weeks ago, before the clock wrapped. */
  #ageMs(at: number, now32: number): number {
    const seen = this.#words[at + SEEN], ageMs = (now32 - seen) | 0;
    return seen === 0 || ageMs < -1_000 ? Infinity : ageMs;
  }
}

/** Where the places of a flow begin. */
function firstWord(bytes: Uint8Array, view: PacketView): number {
  const last = addressWord(bytes, view, view.family === 4 ? 0 : 3);
  const mixed = Math.imul(last ^ Math.imul(portsOf(view), 0x9e37_79b1), 0x85eb_ca6b);
  return ((mixed >>> 16) % SETS) * WAYS * WORDS;
}

/** The client's address, by words; 0 behind an IPv4 address. */
function addressWord(bytes: Uint8Array, { family, sourceOffset }: PacketView, word: number): number {
  return family === 4 && word > 0 ? 0 : readInt32(bytes, sourceOffset + 4 * word);
}

/** The client's and the service's, 16 bits each. */
function portsOf({ sourcePort, destinationPort }: PacketView): number {
  return (sourcePort << 16) | destinationPort;
}

function sequenceOf(bytes: Uint8Array, { transportOffset }: PacketView): number {
  return readInt32(bytes, transportOffset + SEQUENCE_NUMBER);
}
