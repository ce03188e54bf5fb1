/**
 * Netlink sockets: one request, its answers, its acknowledgement; synchronous and bounded. See netlink(7).
 *
 * The kernel answers a netlink request inside the call that sends it, and each further part of a dump inside the call
 * that reads: nothing here waits, and an answer that is not there is an error.
 */

import { VipfarmError } from "../src/core/errors.ts";
import { Descriptor } from "./descriptor.ts";
import { SystemError } from "./errors.ts";
import * as C from "./layout/constants.ts";
import { nlattr, nlmsgerr, nlmsghdr, sockaddr_nl } from "./layout/structs.ts";
import { check, libc } from "./libc.ts";
import { openSocket, setIntOption } from "./socket.ts";

/** The kernel never makes a datagram of a dump larger than 32 KiB (`netlink_dump` in net/netlink/af_netlink.c). */
const RECEIVE_BYTES = 65_536;
/** Datagrams that one dump may take: 4 GiB of answers, more than any table that fits in a kernel. */
const DUMP_DATAGRAMS_MAX = 131_072;

/**
 * Sees one answer: its type and where its body lies. The buffer is overwritten by the next datagram: copy what stays.
 */
export type NetlinkVisitor = (type: number, bytes: Uint8Array, start: number, end: number) => void;

/** An open netlink socket of one protocol, in the network namespace of the thread that opened it. */
export class NetlinkSocket {
  readonly #descriptor: Descriptor;
  readonly #buffer = new Uint8Array(RECEIVE_BYTES);
  readonly #view = new DataView(this.#buffer.buffer);
  #sequence = 0;

  private constructor(descriptor: Descriptor) {
    this.#descriptor = descriptor;
  }

  /** Opens it; `protocol` is a `NETLINK_` number, `what` names it in errors. Throws {@link SystemError}. */
  static open(protocol: number, what: string): NetlinkSocket {
    const fd = openSocket(C.AF_NETLINK, C.SOCK_RAW, protocol, `netlink socket for ${what}`);
    try {
      // Errors with the kernel's own words, without a copy of the request; filters of dumps are checked, not ignored.
      setIntOption(fd, C.SOL_NETLINK, C.NETLINK_EXT_ACK, 1, "ask for netlink explanations");
      setIntOption(fd, C.SOL_NETLINK, C.NETLINK_CAP_ACK, 1, "ask for short netlink acknowledgements");
      if (protocol === C.NETLINK_ROUTE) {
        setIntOption(fd, C.SOL_NETLINK, C.NETLINK_GET_STRICT_CHK, 1, "ask for strict netlink checks");
      }
      const name = new Uint8Array(sockaddr_nl.size);
      new DataView(name.buffer).setUint16(sockaddr_nl.offsets.nl_family, C.AF_NETLINK, true);
      check(libc.bind(fd, name, name.length), "bind netlink socket", what);
    } catch (error) {
      libc.close(fd);
      throw error;
    }
    return new NetlinkSocket(new Descriptor(fd, "netlink socket"));
  }

  /**
   * Sends a request and takes its answers up to the acknowledgement, or up to the end of a dump (`NLM_F_DUMP`).
   * Returns false when the table changed while it was dumped, so that answers may be missing or double.
   * Throws {@link SystemError} with the kernel's explanation; `operation` and `value` say what was tried.
   */
  request(
    type: number,
    flags: number,
    body: Uint8Array,
    operation: string,
    value: string | undefined,
    visit: NetlinkVisitor = () => {},
  ): boolean {
    const dump = (flags & C.NLM_F_DUMP) === C.NLM_F_DUMP;
    const request = netlinkMessage(type, flags | C.NLM_F_REQUEST | (dump ? 0 : C.NLM_F_ACK), body);
    this.send(request, operation, value);
    let consistent = true;
    for (let datagrams = 0; datagrams < DUMP_DATAGRAMS_MAX; datagrams++) {
      const length = this.receive(operation, value);
      for (let start = 0; start + nlmsghdr.size <= length;) {
        const messageBytes = this.#view.getUint32(start + nlmsghdr.offsets.nlmsg_len, true);
        const end = start + messageBytes;
        if (messageBytes < nlmsghdr.size || end > length) throw malformed(operation, messageBytes);
        const messageType = this.#view.getUint16(start + nlmsghdr.offsets.nlmsg_type, true);
        const messageFlags = this.#view.getUint16(start + nlmsghdr.offsets.nlmsg_flags, true);
        if ((messageFlags & C.NLM_F_DUMP_INTR) !== 0) consistent = false;
        if (messageType === C.NLMSG_ERROR || messageType === C.NLMSG_DONE) {
          this.#finish(start + nlmsghdr.size, end, messageType, messageFlags, operation, value);
          return consistent;
        }
        visit(messageType, this.#buffer, start + nlmsghdr.size, end);
        start += align4(messageBytes);
      }
    }
    throw new VipfarmError({
      operation,
      problem: `the kernel's answer has more than ${DUMP_DATAGRAMS_MAX} parts`,
    });
  }

  /** Sends a message made by {@link netlinkMessage}, with the next sequence number put in. */
  send(message: Uint8Array<ArrayBuffer>, operation: string, value?: string): void {
    this.#sequence = (this.#sequence + 1) | 0;
    const offset = nlmsghdr.offsets.nlmsg_seq;
    message[offset] = this.#sequence;
    message[offset + 1] = this.#sequence >>> 8;
    message[offset + 2] = this.#sequence >>> 16;
    message[offset + 3] = this.#sequence >>> 24;
    check(libc.sendto(this.#descriptor.fd, message, message.length, 0, null, 0), operation, value);
  }

  /**
   * Takes one datagram of the answer to the last request into {@link NetlinkSocket.buffer} and returns its length.
   * What is left of a dump that was given up half-way is passed over. Throws {@link SystemError}.
   */
  receive(operation: string, value?: string): number {
    const flags = C.MSG_DONTWAIT | C.MSG_TRUNC;
    for (;;) {
      const length = libc.recv(this.#descriptor.fd, this.#buffer, RECEIVE_BYTES, flags);
      check(length, operation, value);
      if (length > RECEIVE_BYTES || length < nlmsghdr.size) throw malformed(operation, length);
      if (this.#view.getInt32(nlmsghdr.offsets.nlmsg_seq, true) === this.#sequence) return length;
    }
  }

  /** What `receive` filled. */
  get buffer(): Uint8Array {
    return this.#buffer;
  }

  /** Closes the socket. A second call does nothing. */
  close(): void {
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Reads the error code of an acknowledgement or of the end of a dump, and throws it unless it is 0. */
  #finish(start: number, end: number, type: number, flags: number, operation: string, value?: string): void {
    // The end of an old dump may come without a code.
    if (end - start < 4) return;
    const code = this.#view.getInt32(start + nlmsgerr.offsets.error, true);
    if (code === 0) return;
    let detail: string | undefined;
    if ((flags & C.NLM_F_ACK_TLVS) !== 0) {
      const attributes = start + (type === C.NLMSG_ERROR ? nlmsgerr.size : 4);
      forEachAttribute(this.#buffer, attributes, end, (attribute, from, to) => {
        if (attribute === C.NLMSGERR_ATTR_MSG) detail = readString(this.#buffer, from, to);
      });
    }
    throw new SystemError({ operation, errno: -code, value, detail });
  }
}

/** A whole message: header and body. `NetlinkSocket.send` puts the sequence number in. */
export function netlinkMessage(type: number, flags: number, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(nlmsghdr.size + body.length);
  const view = new DataView(message.buffer);
  view.setUint32(nlmsghdr.offsets.nlmsg_len, message.length, true);
  view.setUint16(nlmsghdr.offsets.nlmsg_type, type, true);
  view.setUint16(nlmsghdr.offsets.nlmsg_flags, flags, true);
  message.set(body, nlmsghdr.size);
  return message;
}

/** An attribute, padded to 4 bytes. A nested one's payload is made of attributes and its type has `NLA_F_NESTED`. */
export function attribute(type: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(align4(nlattr.size + payload.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(nlattr.offsets.nla_len, nlattr.size + payload.length, true);
  view.setUint16(nlattr.offsets.nla_type, type, true);
  bytes.set(payload, nlattr.size);
  return bytes;
}

/** A u32 in the machine's order, as attributes hold it. */
export function u32(value: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Uint32Array([value]).buffer);
}

/** Parts one behind the other; each is padded already. */
export function concatenate(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/** Calls `visit` with the type of each attribute between `start` and `end` and where its payload lies. */
export function forEachAttribute(
  bytes: Uint8Array,
  start: number,
  end: number,
  visit: (type: number, start: number, end: number) => void,
): void {
  while (start + nlattr.size <= end) {
    const length = bytes[start] | (bytes[start + 1] << 8);
    if (length < nlattr.size || start + length > end) return;
    visit(
      (bytes[start + 2] | (bytes[start + 3] << 8)) & C.NLA_TYPE_MASK,
      start + nlattr.size,
      start + length,
    );
    start += align4(length);
  }
}

/** The text of a string attribute, without the zero behind it. */
export function readString(bytes: Uint8Array, start: number, end: number): string {
  const zero = bytes.indexOf(0, start);
  return new TextDecoder().decode(bytes.subarray(start, zero >= 0 && zero < end ? zero : end));
}

function align4(length: number): number {
  return (length + 3) & ~3;
}

function malformed(operation: string, length: number): VipfarmError {
  return new VipfarmError({
    operation,
    problem: "the kernel's netlink answer is malformed",
    value: `length ${length}`,
  });
}
