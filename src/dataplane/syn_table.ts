/**
 * The SYNs that one packet thread has let in while connections of other nodes may be in their buckets, with their sequence
 * numbers: a packet that follows tells by its own whether it belongs to that SYN. Fixed room, nothing allocated; what a flood
 * overwrites is judged as if it had never been noted.
 */
import { readInt32 } from "../wire/bytes.ts";
import { type PacketView } from "../wire/view.ts";

/** SYNs that are remembered: half a megabyte. */
const SYNS_MAX = 16_384;
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
    const { family, sourceOffset: address } = view, ports = portsOf(view);
    const words = this.#words, at = this.#place(bytes, address, family, ports);
    for (let word = 0; word < PORTS; word++) {
      words[at + word] = family === 4 && word > 0 ? 0 : readInt32(bytes, address + 4 * word);
    }
    words[at + PORTS] = ports;
    words[at + VIP] = vip;
    words[at + SEQUENCE] = sequenceOf(bytes, view);
    words[at + SEEN] = now32 === 0 ? 1 : now32;
  }

  /** Whether the packet in `view`, which is no SYN, belongs to the last SYN of its flow: one of {@link SYN}. */
  judge(bytes: Uint8Array, view: PacketView, vip: number, now32: number): number {
    const { family, sourceOffset: address } = view, ports = portsOf(view);
    const words = this.#words, at = this.#place(bytes, address, family, ports);
    const ageMs = (now32 - words[at + SEEN]) | 0;
    if (words[at + SEEN] === 0 || ageMs < -1_000 || ageMs > KEPT_MS) return SYN.unknown;
    if (words[at + PORTS] !== ports || words[at + VIP] !== vip) return SYN.unknown;
    for (let word = 0; word < PORTS; word++) {
      const here = family === 4 && word > 0 ? 0 : readInt32(bytes, address + 4 * word);
      if (words[at + word] !== here) return SYN.unknown;
    }
    const ahead = (sequenceOf(bytes, view) - words[at + SEQUENCE] - 1) | 0;
    return ahead >= 0 && ahead < AHEAD_MAX ? SYN.same : SYN.other;
  }

  #place(bytes: Uint8Array, address: number, family: number, ports: number): number {
    const last = readInt32(bytes, address + (family === 4 ? 0 : 12));
    const mixed = Math.imul(last ^ Math.imul(ports, 0x9e37_79b1), 0x85eb_ca6b);
    return ((mixed >>> 13) % SYNS_MAX) * WORDS;
  }
}

/** The client's and the service's, 16 bits each. */
function portsOf({ sourcePort, destinationPort }: PacketView): number {
  return (sourcePort << 16) | destinationPort;
}

function sequenceOf(bytes: Uint8Array, { transportOffset }: PacketView): number {
  return readInt32(bytes, transportOffset + SEQUENCE_NUMBER);
}
