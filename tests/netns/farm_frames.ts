/**
 * Frames of a pcap file as the tests of a farm count them. Read with code of its own, not with `src/wire`: what is
 * under test must not be its own witness.
 */

import { addressFromBytes } from "../../src/core/address.ts";

/** Link types of pcap-linktype(7): Ethernet, and IP packets without a link header (a TUN device). */
const LINKTYPE_ETHERNET = 1;
const LINKTYPE_RAW = [12, 101];
const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;

const ETHER_TYPE = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, ipv6: 0x86dd, serviceVlan: 0x88a8 };
const EXTENSION_HEADERS = new Set([0, 43, 60]);
const FRAGMENT_HEADER = 44;

export const TCP = 6, UDP = 17, ICMP = 1, ICMPV6 = 58;
export const FIN = 0x01, SYN = 0x02, RST = 0x04, ACK = 0x10;

/** An IP packet. Ports and what follows are there unless it is a later fragment. */
export interface SeenPacket {
  readonly family: 4 | 6;
  readonly source: string;
  readonly destination: string;
  /** Behind IPv6 extension headers. */
  readonly protocol: number;
  /** Bytes, header included. */
  readonly length: number;
  readonly fragmentOffset: number;
  readonly isFragment: boolean;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly tcpFlags: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly icmpType: number;
  /** Behind the IP headers. */
  readonly payload: Uint8Array;
}

/** What one ARP or neighbour discovery message says: who is where. */
export interface SeenClaim {
  readonly kind: "arp request" | "arp reply" | "solicitation" | "advertisement";
  /** The address that the message is from or about, with the MAC that it gives for it. */
  readonly address: string;
  readonly mac: string | undefined;
  /** The address that is asked for. */
  readonly asked: string | undefined;
  /** ARP: the address that is told. */
  readonly toward: string | undefined;
}

/** One captured frame. */
export interface SeenFrame {
  /** Since 1970. */
  readonly atMs: number;
  /** Empty on a TUN device. */
  readonly sourceMac: string;
  readonly destinationMac: string;
  readonly vlan: number | undefined;
  readonly packet: SeenPacket | undefined;
  readonly claim: SeenClaim | undefined;
}

/** Reads a pcap file (the classic format, as tcpdump(8) writes it on this machine). */
export function readPcap(bytes: Uint8Array): SeenFrame[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== 0xa1b2_c3d4) throw new Error("not a pcap file of this machine");
  const linkType = view.getUint32(20, true);
  const frames: SeenFrame[] = [];
  for (let at = FILE_HEADER_BYTES; at + RECORD_HEADER_BYTES <= bytes.length;) {
    const atMs = view.getUint32(at, true) * 1000 + view.getUint32(at + 4, true) / 1000;
    const length = view.getUint32(at + 8, true);
    const start = at + RECORD_HEADER_BYTES;
    at = start + length;
    if (at > bytes.length) break;
    const data = bytes.subarray(start, at);
    if (linkType === LINKTYPE_ETHERNET) frames.push({ atMs, ...readEthernet(data) });
    else if (LINKTYPE_RAW.includes(linkType)) {
      frames.push({
        atMs,
        sourceMac: "",
        destinationMac: "",
        vlan: undefined,
        packet: readIp(data),
        claim: undefined,
      });
    } else throw new Error(`link type ${linkType}`);
  }
  return frames;
}

function readEthernet(bytes: Uint8Array): Omit<SeenFrame, "atMs"> {
  let at = 12;
  let vlan: number | undefined;
  let etherType = uint16(bytes, at);
  while (etherType === ETHER_TYPE.vlan || etherType === ETHER_TYPE.serviceVlan) {
    vlan ??= uint16(bytes, at + 2) & 0x0fff;
    at += 4;
    etherType = uint16(bytes, at);
  }
  const rest = bytes.subarray(at + 2);
  const isIp = etherType === ETHER_TYPE.ipv4 || etherType === ETHER_TYPE.ipv6;
  const packet = isIp ? readIp(rest) : undefined;
  return {
    destinationMac: mac(bytes, 0),
    sourceMac: mac(bytes, 6),
    vlan,
    packet,
    claim: etherType === ETHER_TYPE.arp ? readArp(rest) : packet && readNeighbourDiscovery(packet),
  };
}

function readArp(bytes: Uint8Array): SeenClaim {
  const isReply = uint16(bytes, 6) === 2;
  return {
    kind: isReply ? "arp reply" : "arp request",
    address: address(bytes, 14, 4),
    mac: mac(bytes, 8),
    asked: isReply ? undefined : address(bytes, 24, 4),
    toward: isReply ? address(bytes, 24, 4) : undefined,
  };
}

function readNeighbourDiscovery({ protocol, icmpType, source, payload }: SeenPacket): SeenClaim | undefined {
  if (protocol !== ICMPV6 || (icmpType !== 135 && icmpType !== 136)) return undefined;
  const isAdvertisement = icmpType === 136;
  const target = address(payload, 8, 16);
  // Source link-layer address (1) of a solicitation, target link-layer address (2) of an advertisement: RFC 4861.
  let given: string | undefined;
  for (let at = 24; at + 8 <= payload.length && payload[at + 1] > 0; at += payload[at + 1] * 8) {
    if (payload[at] === (isAdvertisement ? 2 : 1)) given = mac(payload, at + 2);
  }
  return isAdvertisement
    ? { kind: "advertisement", address: target, mac: given, asked: undefined, toward: undefined }
    : { kind: "solicitation", address: source, mac: given, asked: target, toward: undefined };
}

function readIp(bytes: Uint8Array): SeenPacket | undefined {
  const version = bytes[0] >> 4;
  if (version === 4) {
    const fragment = uint16(bytes, 6);
    const length = uint16(bytes, 2);
    const headerBytes = (bytes[0] & 15) * 4;
    return withTransport(bytes, 4, bytes[9], length, headerBytes, (fragment & 0x1fff) * 8, {
      isFragment: (fragment & 0x3fff) !== 0,
      source: address(bytes, 12, 4),
      destination: address(bytes, 16, 4),
    });
  }
  if (version !== 6) return undefined;
  let protocol = bytes[6];
  let at = 40;
  let fragmentOffset = 0;
  let isFragment = false;
  while (EXTENSION_HEADERS.has(protocol) || protocol === FRAGMENT_HEADER) {
    const next = bytes[at];
    if (protocol === FRAGMENT_HEADER) {
      isFragment = true;
      fragmentOffset = uint16(bytes, at + 2) & 0xfff8;
      at += 8;
    } else at += (bytes[at + 1] + 1) * 8;
    protocol = next;
    if (fragmentOffset > 0) break;
  }
  return withTransport(bytes, 6, protocol, 40 + uint16(bytes, 4), at, fragmentOffset, {
    isFragment,
    source: address(bytes, 8, 16),
    destination: address(bytes, 24, 16),
  });
}

function withTransport(
  bytes: Uint8Array,
  family: 4 | 6,
  protocol: number,
  length: number,
  at: number,
  fragmentOffset: number,
  rest: Pick<SeenPacket, "isFragment" | "source" | "destination">,
): SeenPacket {
  const payload = bytes.subarray(at, length);
  const first = fragmentOffset === 0;
  const hasPorts = first && (protocol === TCP || protocol === UDP);
  const isTcp = first && protocol === TCP;
  return {
    ...rest,
    family,
    protocol,
    length,
    fragmentOffset,
    payload,
    sourcePort: hasPorts ? uint16(payload, 0) : -1,
    destinationPort: hasPorts ? uint16(payload, 2) : -1,
    sequence: isTcp ? uint32(payload, 4) : -1,
    acknowledgement: isTcp ? uint32(payload, 8) : -1,
    tcpFlags: isTcp ? payload[13] : 0,
    icmpType: first && (protocol === ICMP || protocol === ICMPV6) ? payload[0] : -1,
  };
}

function uint16(bytes: Uint8Array, at: number): number {
  return bytes[at] << 8 | bytes[at + 1];
}

function uint32(bytes: Uint8Array, at: number): number {
  return (uint16(bytes, at) << 16 | uint16(bytes, at + 2)) >>> 0;
}

function address(bytes: Uint8Array, at: number, length: number): string {
  return addressFromBytes(bytes.slice(at, at + length)).text;
}

function mac(bytes: Uint8Array, at: number): string {
  return Array.from(bytes.subarray(at, at + 6), (byte) => byte.toString(16).padStart(2, "0")).join(":");
}
