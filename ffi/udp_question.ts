/**
 * One datagram out, one in: a connected UDP socket (udp(7)). Being connected, it takes datagrams from that one peer only,
 * and hears of the peer's "port unreachable".
 */

import { addressFromBytes } from "../src/core/address.ts";
import { Descriptor } from "./descriptor.ts";
import { SystemError } from "./errors.ts";
import * as C from "./layout/constants.ts";
import { ERRNO } from "./layout/errno.ts";
import { check, errno, libc } from "./libc.ts";
import { openSocket, socketAddress } from "./socket.ts";

/** Longest answer that is read; the rest of a longer one is cut off. */
const ANSWER_BYTES_MAX = 4_096;

export class UdpQuestion {
  readonly #descriptor: Descriptor;
  readonly #shown: string;
  readonly #answer = new Uint8Array(ANSWER_BYTES_MAX);

  private constructor(descriptor: Descriptor, shown: string) {
    this.#descriptor = descriptor;
    this.#shown = shown;
  }

  /** Opens a socket to `address` (4 or 16 bytes), and sends. Throws {@link SystemError}. */
  static send(address: Uint8Array, port: number, bytes: Uint8Array): UdpQuestion {
    const shown = `${addressFromBytes(address).text} port ${port}`;
    const family = address.length === 4 ? C.AF_INET : C.AF_INET6;
    const fd = openSocket(family, C.SOCK_DGRAM | C.SOCK_NONBLOCK, 0, "UDP socket");
    try {
      const peer = socketAddress(address, port);
      check(libc.connect(fd, peer, peer.length), "connect UDP socket", shown);
      const copy = new Uint8Array(bytes);
      check(libc.sendto(fd, copy, copy.length, C.MSG_NOSIGNAL, null, 0), "send datagram", shown);
    } catch (error) {
      libc.close(fd);
      throw error;
    }
    return new UdpQuestion(new Descriptor(fd, "UDP socket"), shown);
  }

  get fd(): number {
    return this.#descriptor.fd;
  }

  /**
   * The next answer, valid until the next call; undefined if there is none yet. Throws {@link SystemError}:
   * ECONNREFUSED when the peer has told that nobody listens.
   */
  receive(): Uint8Array | undefined {
    const length = libc.recv(this.#descriptor.fd, this.#answer, ANSWER_BYTES_MAX, C.MSG_DONTWAIT);
    if (length >= 0) return this.#answer.subarray(0, length);
    const failure = errno();
    if (failure === ERRNO.EAGAIN[0] || failure === ERRNO.EINTR[0]) return undefined;
    throw new SystemError({ operation: "receive datagram", errno: failure, value: this.#shown });
  }

  close(): void {
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
