/** What all sockets share: opening, options, addresses, the pending error. */

import { SystemError } from "./errors.ts";
import {
  AF_INET,
  AF_INET6,
  IPPROTO_IPV6,
  IPV6_JOIN_GROUP,
  SO_BINDTODEVICE,
  SO_ERROR,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SOCK_CLOEXEC,
  SOL_SOCKET,
} from "./layout/constants.ts";
import { ipv6_mreq, sockaddr_in, sockaddr_in6 } from "./layout/structs.ts";
import { check, cString, libc } from "./libc.ts";

const word = new Uint8Array(4);
const wordView = new Int32Array(word.buffer);
const length = new Uint8Array(4);
const lengthView = new Int32Array(length.buffer);

/** socket(2), closed on exec. Throws {@link SystemError}. */
export function openSocket(domain: number, type: number, protocol: number, what: string): number {
  return check(libc.socket(domain, type | SOCK_CLOEXEC, protocol), `open ${what}`);
}

/** Sets an option that is an int. Throws {@link SystemError}; `what` says what the option does. */
export function setIntOption(fd: number, level: number, option: number, value: number, what: string): void {
  wordView[0] = value;
  check(libc.setsockopt(fd, level, option, word, 4), what, `${value}`);
}

/** Sets an option that is a structure. Throws {@link SystemError}. */
export function setOption(
  fd: number,
  level: number,
  option: number,
  value: Uint8Array<ArrayBuffer>,
  what: string,
  shown: string,
): void {
  check(libc.setsockopt(fd, level, option, value, value.length), what, shown);
}

/** Reads an option into `value` and returns its length. Throws {@link SystemError}. */
export function getOption(
  fd: number,
  level: number,
  option: number,
  value: Uint8Array<ArrayBuffer>,
  what: string,
): number {
  lengthView[0] = value.length;
  check(libc.getsockopt(fd, level, option, value, length), what);
  return lengthView[0];
}

/** `struct sockaddr_in` or `sockaddr_in6`; the scope matters for link-local addresses and is ignored for others. */
export function socketAddress(
  address: Uint8Array,
  port: number,
  interfaceIndex = 0,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(address.length === 4 ? sockaddr_in.size : sockaddr_in6.size);
  const view = new DataView(bytes.buffer);
  view.setUint16(sockaddr_in.offsets.sin_family, address.length === 4 ? AF_INET : AF_INET6, true);
  view.setUint16(sockaddr_in.offsets.sin_port, port, false);
  if (address.length === 4) {
    bytes.set(address, sockaddr_in.offsets.sin_addr);
  } else {
    bytes.set(address, sockaddr_in6.offsets.sin6_addr);
    view.setUint32(sockaddr_in6.offsets.sin6_scope_id, interfaceIndex, true);
  }
  return bytes;
}

/** Lets the socket send and receive through one interface only (SO_BINDTODEVICE). */
export function bindToInterface(fd: number, interfaceName: string): void {
  setOption(
    fd,
    SOL_SOCKET,
    SO_BINDTODEVICE,
    cString(interfaceName),
    "bind socket to interface",
    interfaceName,
  );
}

/**
 * Asks for a receive buffer of `bytes`, above `net.core.rmem_max` where CAP_NET_ADMIN allows it, else up to it.
 * Returns what the kernel granted, which is double the number because it counts its own overhead.
 */
export function setReceiveBuffer(fd: number, bytes: number): number {
  wordView[0] = bytes;
  if (libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, word, 4) < 0) {
    setIntOption(fd, SOL_SOCKET, SO_RCVBUF, bytes, "size receive buffer");
  }
  getOption(fd, SOL_SOCKET, SO_RCVBUF, word, "read size of receive buffer");
  return wordView[0];
}

/** Takes the error that waits on a socket (why poll reported POLLERR); `undefined` when there is none. */
export function takeSocketError(fd: number, operation: string, value?: string): SystemError | undefined {
  if (getOption(fd, SOL_SOCKET, SO_ERROR, word, "read socket error") === 0) return undefined;
  return wordView[0] === 0 ? undefined : new SystemError({ operation, errno: wordView[0], value });
}

/** Joins an IPv6 multicast group on one interface. Throws {@link SystemError}. */
export function joinIpv6Group(fd: number, group: Uint8Array, interfaceIndex: number, shown: string): void {
  const request = new Uint8Array(ipv6_mreq.size);
  request.set(group, ipv6_mreq.offsets.ipv6mr_multiaddr);
  new DataView(request.buffer).setInt32(ipv6_mreq.offsets.ipv6mr_interface, interfaceIndex, true);
  setOption(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, request, "join multicast group", shown);
}
