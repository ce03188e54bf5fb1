/**
 * Asks one host whether it is there: ICMP echo (RFC 792, RFC 4443 section 4) by a raw socket, see raw(7). A ping socket
 * (icmp(7)) would need `net.ipv4.ping_group_range`, which is empty unless somebody sets it; CAP_NET_RAW is there anyway.
 *
 * A socket filter lets only answers to this socket's own questions through, so that a flood of other ICMP wakes nobody.
 */

import { addressFromBytes } from "../src/core/address.ts";
import { attachFilter, BpfAssembler } from "./bpf.ts";
import { Descriptor } from "./descriptor.ts";
import { SystemError } from "./errors.ts";
import * as C from "./layout/constants.ts";
import { ERRNO } from "./layout/errno.ts";
import { iovec, mmsghdr, sockaddr_in, sockaddr_in6 } from "./layout/structs.ts";
import { addressOf, errno, libc } from "./libc.ts";
import { openSocket, socketAddress } from "./socket.ts";

const ECHO = { 4: { question: 8, answer: 0 }, 6: { question: 128, answer: 129 } } as const;
/** The kernel gives a raw IPv4 socket the IP header too, an IPv6 one not. Answers carry no IP options. */
const IP_BYTES = { 4: 20, 6: 0 } as const;
const IPV4_WITHOUT_OPTIONS = 0x45;
const HEADER_BYTES = 8;
/** Nobody who has not seen the question can give the answer. */
const TOKEN_BYTES = 8;
/** Questions whose times are remembered: more than are under way at once. */
const REMEMBERED = 64;
/** Room for one answer. */
const ANSWER_BYTES = 64;
/** Answers read at a time: one is under way, and a late one or two. */
const READ_MAX = 16;

/** Questions to one address. Nothing in it blocks. */
export class EchoSocket {
  readonly #descriptor: Descriptor;
  readonly #family: 4 | 6;
  readonly #peer: Uint8Array<ArrayBuffer>;
  readonly #question = new Uint8Array(HEADER_BYTES + TOKEN_BYTES);
  readonly #view = new DataView(this.#question.buffer);
  readonly #askedMs: number[] = new Array(REMEMBERED).fill(-1);
  readonly #answer = new Uint8Array(ANSWER_BYTES);
  readonly #source = new Uint8Array(sockaddr_in6.size);
  readonly #vector = new Uint8Array(iovec.size);
  readonly #header = new Uint8Array(mmsghdr.size);
  #sequence = 0;

  private constructor(fd: number, address: Uint8Array, identifier: number) {
    this.#descriptor = new Descriptor(fd, "echo socket");
    this.#family = address.length === 4 ? 4 : 6;
    this.#peer = socketAddress(address, 0);
    this.#view.setUint8(0, ECHO[this.#family].question);
    this.#view.setUint16(4, identifier);
    crypto.getRandomValues(this.#question.subarray(HEADER_BYTES));
    const vector = new DataView(this.#vector.buffer), header = new DataView(this.#header.buffer);
    vector.setBigUint64(iovec.offsets.iov_base, addressOf(this.#answer), true);
    vector.setBigUint64(iovec.offsets.iov_len, BigInt(ANSWER_BYTES), true);
    header.setBigUint64(mmsghdr.offsets["msg_hdr.msg_name"], addressOf(this.#source), true);
    header.setBigUint64(mmsghdr.offsets["msg_hdr.msg_iov"], addressOf(this.#vector), true);
    header.setBigUint64(mmsghdr.offsets["msg_hdr.msg_iovlen"], 1n, true);
  }

  /** `address` has 4 or 16 bytes, and is no link-local one. Throws {@link SystemError}: EPERM without CAP_NET_RAW. */
  static open(address: Uint8Array): EchoSocket {
    const [domain, protocol] = address.length === 4
      ? [C.AF_INET, C.IPPROTO_ICMP]
      : [C.AF_INET6, C.IPPROTO_ICMPV6];
    const what = `raw socket to ask ${addressFromBytes(address).text}`;
    const fd = openSocket(domain, C.SOCK_RAW | C.SOCK_NONBLOCK, protocol, what);
    try {
      const identifier = crypto.getRandomValues(new Uint16Array(1))[0];
      attachFilter(fd, answersFilter(address.length === 4 ? 4 : 6, identifier));
      return new EchoSocket(fd, address, identifier);
    } catch (error) {
      libc.close(fd);
      throw error;
    }
  }

  get fd(): number {
    return this.#descriptor.fd;
  }

  /** Sends the next question. False when it could not be sent now: the next one is the repetition. */
  ask(nowMs: number): boolean {
    const sequence = this.#sequence = (this.#sequence + 1) & 0xffff;
    this.#askedMs[sequence % REMEMBERED] = nowMs;
    this.#view.setUint16(6, sequence);
    this.#view.setUint16(2, 0);
    // For ICMPv6 the kernel puts the checksum in (RFC 3542 section 3.1).
    if (this.#family === 4) this.#view.setUint16(2, internetChecksum(this.#view));
    const flags = C.MSG_DONTWAIT | C.MSG_NOSIGNAL;
    const { fd } = this.#descriptor;
    return libc.sendto(fd, this.#question, this.#question.length, flags, this.#peer, this.#peer.length) >= 0;
  }

  /**
   * Reads what has arrived: when the newest question was asked that has been answered, on the clock of {@link ask};
   * `undefined` if there is no new answer. Throws {@link SystemError}.
   */
  answeredMs(): number | undefined {
    let newest: number | undefined;
    for (let read = 0; read < READ_MAX; read++) {
      const length = this.#read();
      if (length === undefined) break;
      const askedMs = this.#askedMsOf(length);
      if (askedMs !== undefined) newest = Math.max(newest ?? -Infinity, askedMs);
    }
    return newest;
  }

  /** A second call does nothing. */
  close(): void {
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Takes one datagram and gives its length. An error that ICMP reported for a question counts as an empty one. */
  #read(): number | undefined {
    const header = new DataView(this.#header.buffer);
    header.setUint32(mmsghdr.offsets["msg_hdr.msg_namelen"], this.#source.length, true);
    const received = libc.recvmmsg(this.#descriptor.fd, this.#header, 1, C.MSG_DONTWAIT, null);
    if (received === 1) return header.getUint32(mmsghdr.offsets.msg_len, true);
    const failure = received === 0 ? ERRNO.EAGAIN[0] : errno();
    if (failure === ERRNO.EAGAIN[0] || failure === ERRNO.EINTR[0]) return undefined;
    if (UNREACHABLE.includes(failure)) return 0;
    throw new SystemError({ operation: "receive echo answers", errno: failure });
  }

  #askedMsOf(length: number): number | undefined {
    const at = IP_BYTES[this.#family];
    if (length !== at + this.#question.length) return undefined;
    const address = this.#family === 4 ? sockaddr_in.offsets.sin_addr : sockaddr_in6.offsets.sin6_addr;
    const addressBytes = this.#family === 4 ? 4 : 16;
    for (let i = address; i < address + addressBytes; i++) {
      if (this.#source[i] !== this.#peer[i]) return undefined;
    }
    for (let i = HEADER_BYTES; i < this.#question.length; i++) {
      if (this.#answer[at + i] !== this.#question[i]) return undefined;
    }
    const sequence = (this.#answer[at + 6] << 8) | this.#answer[at + 7];
    const behind = (this.#sequence - sequence) & 0xffff;
    const askedMs = behind < REMEMBERED ? this.#askedMs[sequence % REMEMBERED] : -1;
    return askedMs < 0 ? undefined : askedMs;
  }
}

/** Errors that a raw socket reports for what it has sent. */
const UNREACHABLE: readonly number[] = [
  ERRNO.EHOSTUNREACH[0],
  ERRNO.ENETUNREACH[0],
  ERRNO.ECONNREFUSED[0],
  ERRNO.EACCES[0],
  ERRNO.EPERM[0],
];

/** Keeps echo answers with this identifier. */
function answersFilter(family: 4 | 6, identifier: number) {
  const at = IP_BYTES[family];
  const filter = new BpfAssembler();
  if (family === 4) filter.load(0, 1).jumpUnlessEqual(IPV4_WITHOUT_OPTIONS, "other");
  return filter
    .load(at, 1).jumpUnlessEqual(ECHO[family].answer, "other")
    .load(at + 4, 2).jumpUnlessEqual(identifier, "other")
    .accept()
    .label("other").reject()
    .assemble();
}

/** RFC 1071. */
function internetChecksum(view: DataView): number {
  let sum = 0;
  for (let i = 0; i < view.byteLength; i += 2) sum += view.getUint16(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
