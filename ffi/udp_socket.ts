/**
 * UDP sockets for heartbeats, by multicast or unicast, IPv4 and IPv6; received in batches with recvmmsg(2).
 * See ip(7), ipv6(7), udp(7).
 *
 * Several farms may share one host. A multicast socket therefore binds to the group's address (not to "any") with
 * SO_REUSEADDR: the kernel gives each such socket its own copy of a datagram to the group. SO_REUSEPORT is never used,
 * since unicast datagrams would be dealt out among the sockets. A unicast socket takes its address and port for itself:
 * a second one is refused with EADDRINUSE in place of stealing from the first.
 */

import { addressFromBytes } from "../src/core/address.ts";
import { HEARTBEAT_BYTES_MAX } from "../src/core/limits.ts";
import { Descriptor } from "./descriptor.ts";
import { SystemError } from "./errors.ts";
import * as C from "./layout/constants.ts";
import { ERRNO } from "./layout/errno.ts";
import { iovec, ip_mreqn, mmsghdr, sockaddr_in, sockaddr_in6 } from "./layout/structs.ts";
import { addressOf, check, errno, libc } from "./libc.ts";
import {
  bindToInterface,
  joinIpv6Group,
  openSocket,
  setIntOption,
  setOption,
  setReceiveBuffer,
  socketAddress,
} from "./socket.ts";

/** Datagrams that one `receiveBatch` takes at most: two rounds of heartbeats of the largest farm. */
export const BATCH_MAX = 64;
/** Asked of the kernel, so that a flood of forged datagrams leaves room for a second of real ones. */
const RECEIVE_BUFFER_BYTES = 4 << 20;
/** DSCP CS6, network control (RFC 4594 section 3.1): switches that look at it serve heartbeats first. */
const TRAFFIC_CLASS = 0xc0;
/** Heartbeats never leave their LAN: no router forwards a TTL of 1. */
const TTL = 1;

/** What {@link UdpSocket.openMulticast} needs. */
export interface MulticastOptions {
  readonly interfaceIndex: number;
  readonly interfaceName: string;
  /** 4 or 16 bytes. */
  readonly group: Uint8Array;
  readonly port: number;
}

/** What {@link UdpSocket.openUnicast} needs. */
export interface UnicastOptions {
  readonly interfaceIndex: number;
  readonly interfaceName: string;
  /** The address of this host to receive at, 4 or 16 bytes; all zeroes for any. */
  readonly localAddress: Uint8Array;
  /** 0 lets the kernel choose; see {@link UdpSocket.port}. */
  readonly port: number;
}

/** An open UDP socket on one interface. Nothing in it blocks. */
export class UdpSocket {
  /** 4 or 6. */
  readonly family: 4 | 6;
  /** The port that it is bound to. */
  readonly port: number;
  /** The errno of the last `sendTo` that returned false, 0 before. */
  lastSendErrno = 0;
  readonly #descriptor: Descriptor;
  readonly #destination: Uint8Array<ArrayBuffer>;
  readonly #destinationView: DataView;
  readonly #batch: ReceiveBatch;

  private constructor(descriptor: Descriptor, family: 4 | 6, port: number, interfaceIndex: number) {
    this.#descriptor = descriptor;
    this.family = family;
    this.port = port;
    this.#destination = socketAddress(new Uint8Array(family === 4 ? 4 : 16), 0, interfaceIndex);
    this.#destinationView = new DataView(this.#destination.buffer);
    this.#batch = new ReceiveBatch(family);
  }

  /**
   * Joins `group` on one interface and binds to it. Sends with TTL 1 through that interface and does not hear itself.
   * Throws {@link SystemError}.
   */
  static openMulticast(options: MulticastOptions): UdpSocket {
    const { interfaceIndex, interfaceName, group, port } = options;
    const shown = `${addressFromBytes(group).text} port ${port} on ${interfaceName}`;
    return open(group.length, interfaceName, (fd, family) => {
      setIntOption(fd, C.SOL_SOCKET, C.SO_REUSEADDR, 1, "share multicast port");
      if (family === 4) {
        const request = new Uint8Array(ip_mreqn.size);
        new DataView(request.buffer).setInt32(ip_mreqn.offsets.imr_ifindex, interfaceIndex, true);
        setOption(fd, C.IPPROTO_IP, C.IP_MULTICAST_IF, request, "choose interface for multicast", shown);
        setIntOption(fd, C.IPPROTO_IP, C.IP_MULTICAST_TTL, TTL, "set multicast TTL");
        setIntOption(fd, C.IPPROTO_IP, C.IP_MULTICAST_LOOP, 0, "switch off multicast loop");
        // Else the socket would also get the groups that other programs joined, on other interfaces.
        setIntOption(fd, C.IPPROTO_IP, C.IP_MULTICAST_ALL, 0, "receive joined groups only");
        check(bind(fd, group, port, interfaceIndex), "bind heartbeat socket", shown);
        request.set(group, ip_mreqn.offsets.imr_multiaddr);
        setOption(fd, C.IPPROTO_IP, C.IP_ADD_MEMBERSHIP, request, "join multicast group", shown);
      } else {
        setIntOption(
          fd,
          C.IPPROTO_IPV6,
          C.IPV6_MULTICAST_IF,
          interfaceIndex,
          "choose interface for multicast",
        );
        setIntOption(fd, C.IPPROTO_IPV6, C.IPV6_MULTICAST_HOPS, TTL, "set multicast hop limit");
        setIntOption(fd, C.IPPROTO_IPV6, C.IPV6_MULTICAST_LOOP, 0, "switch off multicast loop");
        setIntOption(fd, C.IPPROTO_IPV6, C.IPV6_MULTICAST_ALL, 0, "receive joined groups only");
        check(bind(fd, group, port, interfaceIndex), "bind heartbeat socket", shown);
        joinIpv6Group(fd, group, interfaceIndex, shown);
      }
      return new UdpSocket(
        new Descriptor(fd, "heartbeat socket"),
        family,
        boundPort(fd, family),
        interfaceIndex,
      );
    });
  }

  /** Binds to an address of this host, on one interface. Throws {@link SystemError}. */
  static openUnicast(options: UnicastOptions): UdpSocket {
    const { interfaceIndex, interfaceName, localAddress, port } = options;
    return open(localAddress.length, interfaceName, (fd, family) => {
      const shown = `${addressFromBytes(localAddress).text} port ${port} on ${interfaceName}`;
      check(bind(fd, localAddress, port, interfaceIndex), "bind heartbeat socket", shown);
      return new UdpSocket(
        new Descriptor(fd, "heartbeat socket"),
        family,
        boundPort(fd, family),
        interfaceIndex,
      );
    });
  }

  get fd(): number {
    return this.#descriptor.fd;
  }

  /**
   * Sends one datagram. False when it could not be sent now (`lastSendErrno` says why: no route, interface down, firewall,
   * no buffer): for heartbeats, the next one is the repetition.
   */
  sendTo(bytes: Uint8Array<ArrayBuffer>, address: Uint8Array, port: number): boolean {
    const fd = this.#descriptor.fd;
    const offset = this.family === 4 ? sockaddr_in.offsets.sin_addr : sockaddr_in6.offsets.sin6_addr;
    this.#destinationView.setUint16(sockaddr_in.offsets.sin_port, port, false);
    this.#destination.set(address, offset);
    const flags = C.MSG_DONTWAIT | C.MSG_NOSIGNAL;
    const sent = libc.sendto(fd, bytes, bytes.length, flags, this.#destination, this.#destination.length);
    if (sent >= 0) return true;
    this.lastSendErrno = errno();
    return false;
  }

  /**
   * Takes up to `max` waiting datagrams (at most {@link BATCH_MAX}) without blocking or allocating, and returns how many.
   * What `message`, `sourceAddress` and `sourcePort` gave before is overwritten. Throws {@link SystemError}.
   */
  receiveBatch(max = BATCH_MAX): number {
    return this.#batch.receive(this.#descriptor.fd, Math.min(max, BATCH_MAX));
  }

  /** Datagram `index` of the last batch: a view that the next batch overwrites. */
  message(index: number): Uint8Array<ArrayBuffer> {
    return this.#batch.message(index);
  }

  /** Whether datagram `index` was longer than {@link HEARTBEAT_BYTES_MAX} and is cut. */
  truncated(index: number): boolean {
    return (this.#batch.flags(index) & C.MSG_TRUNC) !== 0;
  }

  /** Who sent datagram `index`: 4 or 16 bytes, a view that the next batch overwrites. */
  sourceAddress(index: number): Uint8Array<ArrayBuffer> {
    return this.#batch.sources[index];
  }

  /** From which port. */
  sourcePort(index: number): number {
    return this.#batch.sourcePort(index);
  }

  /** Leaves the group and closes. A second call does nothing. */
  close(): void {
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The memory that recvmmsg fills: headers, names and buffers, linked once. */
class ReceiveBatch {
  /** The source address of each datagram, a view into `#names`. */
  readonly sources: readonly Uint8Array<ArrayBuffer>[];
  readonly #headers = new Uint8Array(BATCH_MAX * mmsghdr.size);
  readonly #headerWords = new Uint32Array(this.#headers.buffer);
  readonly #names = new Uint8Array(BATCH_MAX * sockaddr_in6.size);
  readonly #buffers = new Uint8Array(BATCH_MAX * HEARTBEAT_BYTES_MAX);
  readonly #vectors = new Uint8Array(BATCH_MAX * iovec.size);
  #received = 0;

  constructor(family: 4 | 6) {
    const headers = new DataView(this.#headers.buffer), vectors = new DataView(this.#vectors.buffer);
    const names = addressOf(this.#names),
      buffers = addressOf(this.#buffers),
      iovecs = addressOf(this.#vectors);
    for (let index = 0; index < BATCH_MAX; index++) {
      const vector = index * iovec.size, header = index * mmsghdr.size;
      vectors.setBigUint64(
        vector + iovec.offsets.iov_base,
        buffers + BigInt(index * HEARTBEAT_BYTES_MAX),
        true,
      );
      vectors.setBigUint64(vector + iovec.offsets.iov_len, BigInt(HEARTBEAT_BYTES_MAX), true);
      const name = names + BigInt(index * sockaddr_in6.size);
      headers.setBigUint64(header + mmsghdr.offsets["msg_hdr.msg_name"], name, true);
      headers.setBigUint64(header + mmsghdr.offsets["msg_hdr.msg_iov"], iovecs + BigInt(vector), true);
      headers.setBigUint64(header + mmsghdr.offsets["msg_hdr.msg_iovlen"], 1n, true);
      this.#offerName(index);
    }
    const offset = family === 4 ? sockaddr_in.offsets.sin_addr : sockaddr_in6.offsets.sin6_addr;
    const length = family === 4 ? 4 : 16;
    this.sources = Array.from({ length: BATCH_MAX }, (_, index) => {
      const start = index * sockaddr_in6.size + offset;
      return this.#names.subarray(start, start + length);
    });
  }

  /** There is room for either family's address. */
  #offerName(index: number): void {
    const word = (index * mmsghdr.size + mmsghdr.offsets["msg_hdr.msg_namelen"]) / 4;
    this.#headerWords[word] = sockaddr_in6.size;
  }

  receive(fd: number, max: number): number {
    // The kernel wrote the length of each name that it found into the same field.
    for (let index = 0; index < this.#received; index++) this.#offerName(index);
    const received = libc.recvmmsg(fd, this.#headers, max, C.MSG_DONTWAIT, null);
    this.#received = Math.max(0, received);
    if (received >= 0) return received;
    const failure = errno();
    if (failure === ERRNO.EAGAIN[0] || failure === ERRNO.EINTR[0]) return 0;
    throw new SystemError({ operation: "receive heartbeats", errno: failure });
  }

  message(index: number): Uint8Array<ArrayBuffer> {
    const length = this.#headerWords[(index * mmsghdr.size + mmsghdr.offsets.msg_len) / 4];
    const start = index * HEARTBEAT_BYTES_MAX;
    return this.#buffers.subarray(start, start + length);
  }

  flags(index: number): number {
    return this.#headerWords[(index * mmsghdr.size + mmsghdr.offsets["msg_hdr.msg_flags"]) / 4];
  }

  sourcePort(index: number): number {
    const offset = index * sockaddr_in6.size + sockaddr_in.offsets.sin_port;
    return (this.#names[offset] << 8) | this.#names[offset + 1];
  }
}

/** Opens a socket with what both kinds share; closes it again when `setUp` throws. */
function open(
  addressBytes: number,
  interfaceName: string,
  setUp: (fd: number, family: 4 | 6) => UdpSocket,
): UdpSocket {
  const family = addressBytes === 4 ? 4 : 6;
  const domain = family === 4 ? C.AF_INET : C.AF_INET6;
  const fd = openSocket(domain, C.SOCK_DGRAM | C.SOCK_NONBLOCK, 0, `IPv${family} heartbeat socket`);
  try {
    bindToInterface(fd, interfaceName);
    setReceiveBuffer(fd, RECEIVE_BUFFER_BYTES);
    if (family === 4) {
      setIntOption(fd, C.IPPROTO_IP, C.IP_TOS, TRAFFIC_CLASS, "mark heartbeats");
    } else {
      setIntOption(fd, C.IPPROTO_IPV6, C.IPV6_V6ONLY, 1, "keep IPv4 out of an IPv6 socket");
      setIntOption(fd, C.IPPROTO_IPV6, C.IPV6_TCLASS, TRAFFIC_CLASS, "mark heartbeats");
    }
    return setUp(fd, family);
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

function bind(fd: number, address: Uint8Array, port: number, interfaceIndex: number): number {
  const name = socketAddress(address, port, interfaceIndex);
  return libc.bind(fd, name, name.length);
}

function boundPort(fd: number, family: 4 | 6): number {
  const name = new Uint8Array(family === 4 ? sockaddr_in.size : sockaddr_in6.size);
  const length = new Uint8Array(new Uint32Array([name.length]).buffer);
  check(libc.getsockname(fd, name, length), "read port of heartbeat socket");
  return (name[sockaddr_in.offsets.sin_port] << 8) | name[sockaddr_in.offsets.sin_port + 1];
}
