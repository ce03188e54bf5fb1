/** Ethernet II headers, MAC addresses, and the MAC that the nodes of a farm share for a virtual IP. */

import type { IpAddress } from "../core/address.ts";
import { writeUint16 } from "./bytes.ts";

export const ETHERNET_HEADER_BYTES = 14;
export const MAC_BYTES = 6;
/** Offsets within the header. */
export const ETHERNET = { destination: 0, source: 6, etherType: 12 } as const;

export const ETHER_TYPE = {
  ipv4: 0x0800,
  arp: 0x0806,
  vlan: 0x8100,
  ipv6: 0x86dd,
  serviceVlan: 0x88a8,
} as const;

export type MacMode = "multicast" | "unicast";

/**
 * The MAC that all nodes share for a virtual IP, derived from the address alone, so that nothing has to be
 * agreed and it never changes. All have the "locally administered" bit (IEEE 802 section 8.4): 03:76 and 03:77
 * are group addresses, 02:76 and 02:77 individual ones; 76 stands for IPv4, 77 for IPv6, then the last four
 * bytes of the address. Two IPv6 addresses of one LAN with the same last four bytes share a MAC: harmless, as
 * the address decides, but each farm then sees the other's frames.
 */
export function virtualMac(address: IpAddress, mode: MacMode): Uint8Array {
  const mac = new Uint8Array(MAC_BYTES);
  mac[0] = mode === "multicast" ? 0x03 : 0x02;
  mac[1] = address.family === 4 ? 0x76 : 0x77;
  mac.set(address.bytes.subarray(address.bytes.length - 4), 2);
  return mac;
}

/** The multicast address on which neighbours solicit for `address`: ff02::1:ffXX:XXXX (RFC 4291 section 2.7.1). */
export function solicitedNodeAddress(address: IpAddress): Uint8Array {
  const group = new Uint8Array(16);
  group.set([0xff, 0x02]);
  group[11] = 1;
  group[12] = 0xff;
  group.set(address.bytes.subarray(address.bytes.length - 3), 13);
  return group;
}

/** The MAC of that group, 33:33:ff:XX:XX:XX (RFC 2464 section 7). */
export function solicitedNodeMac(address: IpAddress): Uint8Array {
  const mac = Uint8Array.of(0x33, 0x33, 0xff, 0, 0, 0);
  mac.set(address.bytes.subarray(address.bytes.length - 3), 3);
  return mac;
}

/** `01:23:45:67:89:ab` for the six bytes at `offset`. */
export function formatMac(bytes: Uint8Array, offset = 0): string {
  let text = "";
  for (let i = 0; i < MAC_BYTES; i++) {
    text += (i === 0 ? "" : ":") + bytes[offset + i].toString(16).padStart(2, "0");
  }
  return text;
}

/** The six bytes of `01:23:45:67:89:ab` (or with `-`); undefined for anything else. */
export function parseMac(text: string): Uint8Array | undefined {
  if (!/^[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}$/i.test(text)) return undefined;
  return Uint8Array.from(text.split(/[:-]/), (part) => parseInt(part, 16));
}

/** Whether the MAC at `offset` is a group address, broadcast included (IEEE 802 section 8.2.2). */
export function isGroupMac(bytes: Uint8Array, offset = 0): boolean {
  return (bytes[offset] & 1) !== 0;
}

/** Writes a header and returns the offset behind it. */
export function writeEthernetHeader(
  out: Uint8Array,
  offset: number,
  destination: Uint8Array,
  source: Uint8Array,
  etherType: number,
): number {
  out.set(destination, offset + ETHERNET.destination);
  out.set(source, offset + ETHERNET.source);
  writeUint16(out, offset + ETHERNET.etherType, etherType);
  return offset + ETHERNET_HEADER_BYTES;
}
