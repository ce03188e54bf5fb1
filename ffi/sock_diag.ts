/**
 * The kernel's TCP sockets, one or all: sock_diag(7), the kernel's `net/ipv4/inet_diag.c`.
 *
 * This is the farm's flow table. Half-open connections (SYN answered, handshake unfinished) are found as well: the
 * kernel keeps them beside the established ones.
 */

import { VipfarmError } from "../src/core/errors.ts";
import { SystemError } from "./errors.ts";
import * as C from "./layout/constants.ts";
import { ERRNO } from "./layout/errno.ts";
import { inet_diag_msg, inet_diag_req_v2, nlmsghdr } from "./layout/structs.ts";
import { netlinkMessage, NetlinkSocket } from "./netlink.ts";

/** States of a TCP socket (RFC 9293 section 3.3.2), numbered as in the kernel; `none` where there is no socket. */
export const TCP_STATE = {
  none: 0,
  established: C.TCP_ESTABLISHED,
  synSent: C.TCP_SYN_SENT,
  /** Half-open. */
  synReceived: C.TCP_SYN_RECV,
  finWait1: C.TCP_FIN_WAIT1,
  finWait2: C.TCP_FIN_WAIT2,
  timeWait: C.TCP_TIME_WAIT,
  close: C.TCP_CLOSE,
  closeWait: C.TCP_CLOSE_WAIT,
  lastAck: C.TCP_LAST_ACK,
  listen: C.TCP_LISTEN,
  closing: C.TCP_CLOSING,
} as const;

/** States in which two ends still have something to say to each other: all but listen, time-wait and closed. */
const OPEN_STATES = bits(
  TCP_STATE.established,
  TCP_STATE.synSent,
  TCP_STATE.synReceived,
  TCP_STATE.finWait1,
  TCP_STATE.finWait2,
  TCP_STATE.closeWait,
  TCP_STATE.lastAck,
  TCP_STATE.closing,
);

/** Sees one connection. Both addresses (4 or 16 bytes) are overwritten for the next: copy what stays. */
export type TcpVisitor = (
  localAddress: Uint8Array,
  localPort: number,
  remoteAddress: Uint8Array,
  remotePort: number,
  state: number,
) => void;

const REQUEST = nlmsghdr.size;
const LOCAL_PORT = REQUEST + inet_diag_req_v2.offsets["id.idiag_sport"];
const REMOTE_PORT = REQUEST + inet_diag_req_v2.offsets["id.idiag_dport"];
const LOCAL_ADDRESS = REQUEST + inet_diag_req_v2.offsets["id.idiag_src"];
const REMOTE_ADDRESS = REQUEST + inet_diag_req_v2.offsets["id.idiag_dst"];
const COOKIE = REQUEST + inet_diag_req_v2.offsets["id.idiag_cookie"];
const COOKIE_BYTES = 8;
const LOOK_UP = "look up TCP connection";
const ABANDON = "abandon half-open TCP connection";
const LIST = "list TCP connections";

/** An open sock_diag socket, for the network namespace of the thread that opened it. */
export class SockDiag {
  readonly #socket: NetlinkSocket;
  readonly #request: Uint8Array<ArrayBuffer>;
  readonly #destruction: Uint8Array<ArrayBuffer>;
  /** Both addresses of `hasTcp`. */
  readonly #ends = new Uint8Array(32);

  private constructor(socket: NetlinkSocket, interfaceIndex: number) {
    this.#socket = socket;
    this.#request = netlinkMessage(
      C.SOCK_DIAG_BY_FAMILY,
      C.NLM_F_REQUEST,
      requestBody(C.AF_INET, 0, interfaceIndex),
    );
    this.#destruction = netlinkMessage(
      C.SOCK_DESTROY,
      C.NLM_F_REQUEST | C.NLM_F_ACK,
      this.#request.subarray(REQUEST),
    );
  }

  /**
   * Opens it, and makes sure that the kernel can answer: without its TCP part every connection would seem to be missing.
   * Sockets that are bound to an interface are found by `hasTcp` only when it is `interfaceIndex`. Throws {@link SystemError}.
   */
  static open(interfaceIndex = 0): SockDiag {
    const socket = NetlinkSocket.open(C.NETLINK_SOCK_DIAG, "TCP connections");
    try {
      socket.request(C.SOCK_DIAG_BY_FAMILY, C.NLM_F_DUMP, requestBody(C.AF_INET, 0, 0), LIST, undefined);
    } catch (error) {
      socket.close();
      if (!(error instanceof SystemError)) throw error;
      throw new SystemError({
        operation: "open TCP diagnosis",
        errno: error.errno,
        remedy: "load the kernel modules inet_diag and tcp_diag (`modprobe tcp_diag`)",
      });
    }
    return new SockDiag(socket, interfaceIndex);
  }

  /**
   * The {@link TCP_STATE} of this kernel's socket for exactly these two ends, or `none`; a listening socket is `none`.
   * Addresses lie in `bytes` (4 or 16 bytes at each offset), in network order. Nothing is allocated.
   */
  tcpState(
    family: 4 | 6,
    bytes: Uint8Array,
    localOffset: number,
    localPort: number,
    remoteOffset: number,
    remotePort: number,
  ): number {
    const request = this.#request;
    const addressBytes = family === 4 ? 4 : 16;
    request[REQUEST] = family === 4 ? C.AF_INET : C.AF_INET6;
    request[LOCAL_PORT] = localPort >>> 8;
    request[LOCAL_PORT + 1] = localPort;
    request[REMOTE_PORT] = remotePort >>> 8;
    request[REMOTE_PORT + 1] = remotePort;
    for (let index = 0; index < addressBytes; index++) {
      request[LOCAL_ADDRESS + index] = bytes[localOffset + index];
      request[REMOTE_ADDRESS + index] = bytes[remoteOffset + index];
    }
    this.#socket.send(request, LOOK_UP);
    const length = this.#socket.receive(LOOK_UP);
    const answer = this.#socket.buffer;
    const type = answer[nlmsghdr.offsets.nlmsg_type] | (answer[nlmsghdr.offsets.nlmsg_type + 1] << 8);
    if (type === C.SOCK_DIAG_BY_FAMILY && length >= nlmsghdr.size + inet_diag_msg.size) {
      const state = answer[nlmsghdr.size + inet_diag_msg.offsets.idiag_state];
      // Where no connection fits, the kernel looks for a listener, as it would for a packet.
      return state === TCP_STATE.listen ? TCP_STATE.none : state;
    }
    return noneOrThrow(answer, type);
  }

  /**
   * Forgets a connection of exactly these two ends if it is half-open: its client hears nothing of it, as `tcp_abort`
   * (net/ipv4/tcp.c) sends no reset for one. True if it was there. Arguments as for `tcpState`. Throws
   * {@link SystemError}: EPERM without CAP_NET_ADMIN, EOPNOTSUPP where the kernel has no CONFIG_INET_DIAG_DESTROY.
   */
  abandonHalfOpen(
    family: 4 | 6,
    bytes: Uint8Array,
    localOffset: number,
    localPort: number,
    remoteOffset: number,
    remotePort: number,
  ): boolean {
    const state = this.tcpState(family, bytes, localOffset, localPort, remoteOffset, remotePort);
    if (state !== TCP_STATE.synReceived) return false;
    const destruction = this.#destruction, answer = this.#socket.buffer;
    destruction.set(this.#request.subarray(REQUEST), REQUEST);
    // This very connection, not one that came since.
    const cookie = nlmsghdr.size + inet_diag_msg.offsets["id.idiag_cookie"];
    for (let index = 0; index < COOKIE_BYTES; index++) destruction[COOKIE + index] = answer[cookie + index];
    this.#socket.send(destruction, ABANDON);
    this.#socket.receive(ABANDON);
    const error = new DataView(answer.buffer, answer.byteOffset).getInt32(nlmsghdr.size, true);
    if (error !== 0 && error !== -ERRNO.ENOENT[0]) {
      throw new SystemError({ operation: ABANDON, errno: -error });
    }
    return error === 0;
  }

  /**
   * Whether this kernel has a connection, half-open and time-wait included, between exactly these two ends.
   * `localAddress` and `remoteAddress` have 4 or 16 bytes.
   */
  hasTcp(
    family: 4 | 6,
    localAddress: Uint8Array,
    localPort: number,
    remoteAddress: Uint8Array,
    remotePort: number,
  ): boolean {
    const length = family === 4 ? 4 : 16;
    this.#ends.set(localAddress.subarray(0, length), 0);
    this.#ends.set(remoteAddress.subarray(0, length), 16);
    return this.tcpState(family, this.#ends, 0, localPort, 16, remotePort) !== TCP_STATE.none;
  }

  /**
   * Shows every open connection of a family: half-open ones and those being closed included, listeners, time-wait and
   * unconnected sockets not. IPv4 connections of sockets that serve both families are shown with family 4.
   * Throws {@link SystemError}; `visit` must not use this object.
   */
  dumpTcp(family: 4 | 6, visit: TcpVisitor): void {
    if (family === 4) this.#dump(C.AF_INET, 4, visit);
    this.#dump(C.AF_INET6, family, visit);
  }

  /** Closes the socket. A second call does nothing. */
  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Dumps the kernel's sockets of `domain` and shows those whose addresses are of `family`. */
  #dump(domain: number, family: 4 | 6, visit: TcpVisitor): void {
    const addressBytes = family === 4 ? 4 : 16;
    const local = new Uint8Array(addressBytes), remote = new Uint8Array(addressBytes);
    const { offsets } = inet_diag_msg;
    const body = requestBody(domain, OPEN_STATES, 0);
    this.#socket.request(
      C.SOCK_DIAG_BY_FAMILY,
      C.NLM_F_DUMP,
      body,
      LIST,
      `IPv${family}`,
      (_type, bytes, start, end) => {
        if (end - start < inet_diag_msg.size) return;
        let localOffset = start + offsets["id.idiag_src"], remoteOffset = start + offsets["id.idiag_dst"];
        if (domain === C.AF_INET6) {
          // An IPv4 connection of a socket for both families appears as an IPv6 one with IPv4-mapped addresses.
          const mapped = isMapped(bytes, localOffset);
          if (mapped !== (family === 4)) return;
          if (mapped) {
            localOffset += 12;
            remoteOffset += 12;
          }
        }
        for (let index = 0; index < addressBytes; index++) {
          local[index] = bytes[localOffset + index];
          remote[index] = bytes[remoteOffset + index];
        }
        visit(
          local,
          port(bytes, start + offsets["id.idiag_sport"]),
          remote,
          port(bytes, start + offsets["id.idiag_dport"]),
          bytes[start + offsets.idiag_state],
        );
      },
    );
  }
}

function requestBody(domain: number, states: number, interfaceIndex: number): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(inet_diag_req_v2.size);
  const view = new DataView(body.buffer);
  view.setUint8(inet_diag_req_v2.offsets.sdiag_family, domain);
  view.setUint8(inet_diag_req_v2.offsets.sdiag_protocol, C.IPPROTO_TCP);
  view.setUint32(inet_diag_req_v2.offsets.idiag_states, states, true);
  view.setUint32(inet_diag_req_v2.offsets["id.idiag_if"], interfaceIndex, true);
  // INET_DIAG_NOCOOKIE: whichever socket it is.
  body.fill(0xff, inet_diag_req_v2.offsets["id.idiag_cookie"]);
  return body;
}

function noneOrThrow(answer: Uint8Array, type: number): number {
  const error = new DataView(answer.buffer, answer.byteOffset).getInt32(nlmsghdr.size, true);
  if (type !== C.NLMSG_ERROR || error === 0) {
    throw new VipfarmError({
      operation: LOOK_UP,
      problem: "the kernel's answer is malformed",
      value: `type ${type}`,
    });
  }
  if (error === -ERRNO.ENOENT[0]) return TCP_STATE.none;
  throw new SystemError({ operation: LOOK_UP, errno: -error });
}

function isMapped(bytes: Uint8Array, offset: number): boolean {
  for (let index = 0; index < 10; index++) if (bytes[offset + index] !== 0) return false;
  return bytes[offset + 10] === 0xff && bytes[offset + 11] === 0xff;
}

function port(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] << 8) | bytes[offset + 1];
}

function bits(...numbers: number[]): number {
  return numbers.reduce((mask, number) => mask | (1 << number), 0);
}
