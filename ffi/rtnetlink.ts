/** Interfaces and their addresses, read and set: rtnetlink(7). Each call is synchronous, in the thread's namespace. */

import { addressFromBytes } from "../src/core/address.ts";
import { SystemError } from "./errors.ts";
import * as C from "./layout/constants.ts";
import { ifa_cacheinfo, ifaddrmsg, ifinfomsg } from "./layout/structs.ts";
import { attribute, concatenate, forEachAttribute, NetlinkSocket, readString, u32 } from "./netlink.ts";

/** A table that changes during a dump is read again, this often at most; then the last reading is taken. */
const READINGS_MAX = 5;

/** A network interface. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** Switched on (`ip link set up`). */
  readonly up: boolean;
  /** Up, and with a carrier, as the kernel last announced it: it may keep a loss back for up to a second. */
  readonly running: boolean;
  /** What the driver says at this moment. */
  readonly carrier: boolean;
  readonly loopback: boolean;
  readonly noArp: boolean;
  readonly multicast: boolean;
  /** All `IFF_` bits. */
  readonly flags: number;
  /** `ARPHRD_` number: 1 Ethernet, 65534 none (TUN). */
  readonly type: number;
  /** Bytes. */
  readonly mtu: number;
  /** Hardware address, 6 bytes for Ethernet, none for a TUN. */
  readonly mac: Uint8Array;
}

/** An address on an interface. */
export interface LinkAddress {
  /** The interface's. */
  readonly index: number;
  readonly family: 4 | 6;
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly prefixLength: number;
  /** All `IFA_F_` bits. */
  readonly flags: number;
  /** IPv6: duplicate address detection still runs, or failed. */
  readonly tentative: boolean;
}

/** All interfaces. Throws {@link SystemError}. */
export function links(): Link[] {
  return readTable("list interfaces", C.RTM_GETLINK, new Uint8Array(ifinfomsg.size), parseLink);
}

/** All addresses, or those of one interface. Throws {@link SystemError}. */
export function addresses(index?: number): LinkAddress[] {
  const header = new Uint8Array(ifaddrmsg.size);
  new DataView(header.buffer).setUint32(ifaddrmsg.offsets.ifa_index, index ?? 0, true);
  return readTable("list addresses", C.RTM_GETADDR, header, parseAddress);
}

/** What {@link addAddress} and {@link removeAddress} need. */
export interface AddressRequest {
  /** The interface's. */
  readonly index: number;
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly prefixLength: number;
  /** IPv6: usable at once, without duplicate address detection (which would find the other nodes). */
  readonly noDad?: boolean;
  /** IPv6: served, but never chosen as the source of what this host begins itself (RFC 6724 section 5, rule 3). */
  readonly deprecated?: boolean;
}

/**
 * Puts an address on an interface. Returns false when exactly this address is on it already.
 * Throws {@link SystemError}: ENODEV, EPERM, EACCES or EINVAL when IPv6 is disabled on the interface.
 */
export function addAddress(request: AddressRequest): boolean {
  const flags = request.noDad === true ? attribute(C.IFA_FLAGS, u32(C.IFA_F_NODAD)) : new Uint8Array(0);
  const lifetimes = request.deprecated === true
    ? attribute(C.IFA_CACHEINFO, deprecatedForEver())
    : new Uint8Array(0);
  const more = concatenate(flags, lifetimes);
  return changeAddress("add address", "EEXIST", C.RTM_NEWADDR, C.NLM_F_CREATE | C.NLM_F_EXCL, request, more);
}

/** Takes an address off an interface. Returns false when it was not on it. Throws {@link SystemError}. */
export function removeAddress(request: AddressRequest): boolean {
  return changeAddress("remove address", "EADDRNOTAVAIL", C.RTM_DELADDR, 0, request, new Uint8Array(0));
}

/** What {@link setLink} changes; what is left out stays as it is. */
export interface LinkChange {
  readonly index: number;
  readonly up?: boolean;
  /** Bytes. */
  readonly mtu?: number;
  readonly noArp?: boolean;
  /** False: the kernel makes no IPv6 link-local address of its own when the interface goes up. */
  readonly ipv6LinkLocal?: false;
}

/** Changes an interface. Throws {@link SystemError}. */
export function setLink(change: LinkChange): void {
  const { index, ...wanted } = change;
  const shown = `interface index ${index}: ${JSON.stringify(wanted)}`;
  using socket = NetlinkSocket.open(C.NETLINK_ROUTE, "interfaces");
  if (change.ipv6LinkLocal === false) {
    // In a request of its own, in front: in one request, the kernel would bring the interface up first, and make the
    // address on that occasion (do_setlink in net/core/rtnetlink.c).
    const mode = attribute(C.IFLA_INET6_ADDR_GEN_MODE, Uint8Array.of(C.IN6_ADDR_GEN_MODE_NONE));
    const families = attribute(C.IFLA_AF_SPEC | C.NLA_F_NESTED, attribute(C.AF_INET6 | C.NLA_F_NESTED, mode));
    socket.request(
      C.RTM_SETLINK,
      0,
      concatenate(linkHeader(index, 0, 0), families),
      "change interface",
      shown,
    );
  }
  let flags = 0, mask = 0;
  for (const [on, bit] of [[change.up, C.IFF_UP], [change.noArp, C.IFF_NOARP]] as const) {
    if (on !== undefined) mask |= bit;
    if (on === true) flags |= bit;
  }
  const mtu = change.mtu === undefined ? new Uint8Array(0) : attribute(C.IFLA_MTU, u32(change.mtu));
  if (mask === 0 && mtu.length === 0) return;
  socket.request(
    C.RTM_SETLINK,
    0,
    concatenate(linkHeader(index, flags, mask), mtu),
    "change interface",
    shown,
  );
}

/** A preferred lifetime of 0 and a valid one without end. */
function deprecatedForEver(): Uint8Array<ArrayBuffer> {
  const info = new Uint8Array(ifa_cacheinfo.size);
  new DataView(info.buffer).setUint32(ifa_cacheinfo.offsets.ifa_valid, 0xffff_ffff, true);
  return info;
}

function changeAddress(
  operation: string,
  harmless: "EEXIST" | "EADDRNOTAVAIL",
  type: number,
  flags: number,
  { index, address, prefixLength }: AddressRequest,
  more: Uint8Array,
): boolean {
  const header = new Uint8Array(ifaddrmsg.size);
  const view = new DataView(header.buffer);
  view.setUint8(ifaddrmsg.offsets.ifa_family, address.length === 4 ? C.AF_INET : C.AF_INET6);
  view.setUint8(ifaddrmsg.offsets.ifa_prefixlen, prefixLength);
  view.setUint8(ifaddrmsg.offsets.ifa_scope, C.RT_SCOPE_UNIVERSE);
  view.setUint32(ifaddrmsg.offsets.ifa_index, index, true);
  const body = concatenate(header, attribute(C.IFA_LOCAL, address), attribute(C.IFA_ADDRESS, address), more);
  const shown = `${addressFromBytes(address).text}/${prefixLength}, interface index ${index}`;
  using socket = NetlinkSocket.open(C.NETLINK_ROUTE, "addresses");
  try {
    socket.request(type, flags, body, operation, shown);
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.is(harmless)) return false;
    throw error;
  }
}

function readTable<Row>(
  operation: string,
  type: number,
  header: Uint8Array,
  parse: (bytes: Uint8Array, start: number, end: number) => Row,
): Row[] {
  using socket = NetlinkSocket.open(C.NETLINK_ROUTE, "interfaces and addresses");
  let rows: Row[] = [];
  for (let reading = 0; reading < READINGS_MAX; reading++) {
    rows = [];
    const consistent = socket.request(
      type,
      C.NLM_F_DUMP,
      header,
      operation,
      undefined,
      (_type, bytes, start, end) => {
        rows.push(parse(bytes, start, end));
      },
    );
    if (consistent) break;
  }
  return rows;
}

/** `struct ifinfomsg`: the interface, and the `IFF_` bits to set among those of `mask`. */
export function linkHeader(index: number, flags: number, mask: number): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(ifinfomsg.size);
  const view = new DataView(header.buffer);
  view.setInt32(ifinfomsg.offsets.ifi_index, index, true);
  view.setUint32(ifinfomsg.offsets.ifi_flags, flags, true);
  view.setUint32(ifinfomsg.offsets.ifi_change, mask, true);
  return header;
}

/** An interface from an `RTM_NEWLINK` answer. */
export function parseLink(bytes: Uint8Array, start: number, end: number): Link {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const flags = view.getUint32(start + ifinfomsg.offsets.ifi_flags, true);
  let name = "", mtu = 0, carrier = false, mac = new Uint8Array(0);
  forEachAttribute(bytes, start + ifinfomsg.size, end, (type, from, to) => {
    if (type === C.IFLA_IFNAME) name = readString(bytes, from, to);
    if (type === C.IFLA_CARRIER) carrier = bytes[from] !== 0;
    if (type === C.IFLA_MTU) mtu = view.getUint32(from, true);
    if (type === C.IFLA_ADDRESS) mac = bytes.slice(from, to);
  });
  return {
    index: view.getInt32(start + ifinfomsg.offsets.ifi_index, true),
    name,
    up: (flags & C.IFF_UP) !== 0,
    running: (flags & C.IFF_RUNNING) !== 0,
    carrier,
    loopback: (flags & C.IFF_LOOPBACK) !== 0,
    noArp: (flags & C.IFF_NOARP) !== 0,
    multicast: (flags & C.IFF_MULTICAST) !== 0,
    flags,
    type: view.getUint16(start + ifinfomsg.offsets.ifi_type, true),
    mtu,
    mac,
  };
}

function parseAddress(bytes: Uint8Array, start: number, end: number): LinkAddress {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  let local: Uint8Array | undefined, peer = new Uint8Array(0);
  let flags = view.getUint8(start + ifaddrmsg.offsets.ifa_flags);
  forEachAttribute(bytes, start + ifaddrmsg.size, end, (type, from, to) => {
    // On a point-to-point interface IFA_ADDRESS is the other end; IFA_LOCAL, where it is there, is always this host's.
    if (type === C.IFA_LOCAL) local = bytes.slice(from, to);
    if (type === C.IFA_ADDRESS) peer = bytes.slice(from, to);
    if (type === C.IFA_FLAGS) flags = view.getUint32(from, true);
  });
  return {
    index: view.getUint32(start + ifaddrmsg.offsets.ifa_index, true),
    family: view.getUint8(start + ifaddrmsg.offsets.ifa_family) === C.AF_INET ? 4 : 6,
    address: local ?? peer,
    prefixLength: view.getUint8(start + ifaddrmsg.offsets.ifa_prefixlen),
    flags,
    tentative: (flags & (C.IFA_F_TENTATIVE | C.IFA_F_DADFAILED)) !== 0,
  };
}
