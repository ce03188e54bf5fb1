/** Whole frames for tests and benchmarks, put together from the writers of src/wire. */

import type { IpAddress } from "../../../src/core/address.ts";
import { writeTransportChecksum } from "../../../src/wire/checksum.ts";
import { ETHER_TYPE, writeEthernetHeader } from "../../../src/wire/ethernet.ts";
import { EXTENSION, writeExtensionHeader, writeFragmentHeader } from "../../../src/wire/extension_headers.ts";
import { type IcmpMessage, writeIcmp } from "../../../src/wire/icmp.ts";
import { writeIpv4Header } from "../../../src/wire/ipv4.ts";
import { writeIpv6Header } from "../../../src/wire/ipv6.ts";
import { IPV4, IPV6 } from "../../../src/wire/ip_offsets.ts";
import { PROTOCOL } from "../../../src/wire/packet.ts";
import { TCP, type TcpSegment, writeTcp } from "../../../src/wire/tcp.ts";
import { UDP, type UdpDatagram, writeUdp } from "../../../src/wire/udp.ts";

export const NODE_MAC = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);
export const CLIENT_MAC = Uint8Array.of(0x52, 0x54, 0, 0xab, 0xcd, 0xef);

export interface FrameContent {
  source: IpAddress;
  destination: IpAddress;
  ttl?: number;
  /** IPv4 options. */
  options?: Uint8Array;
  /** IPv6 extension headers other than fragment, in order. */
  extensions?: { type: number; body: Uint8Array }[];
  /** Offset in bytes; the transport part is written as given, whatever the offset. */
  fragment?: { id: number; fragmentOffset: number; moreFragments: boolean };
  tcp?: TcpSegment;
  udp?: UdpDatagram;
  icmp?: IcmpMessage;
  raw?: { protocol: number; payload: Uint8Array };
}

/** Writes the frame at `offset` and returns its length. */
export function writeFrame(out: Uint8Array, offset: number, content: FrameContent): number {
  const etherType = content.source.family === 4 ? ETHER_TYPE.ipv4 : ETHER_TYPE.ipv6;
  const ip = writeEthernetHeader(out, offset, NODE_MAC, CLIENT_MAC, etherType);
  return ip + writePacket(out, ip, content) - offset;
}

/** Writes the IP packet at `offset` and returns its length. */
export function writePacket(out: Uint8Array, offset: number, content: FrameContent): number {
  const { family } = content.source;
  const protocol = protocolOf(content);
  // Headers are written twice: the first time to learn where the transport header begins.
  const transport = writeIpHeaders(out, offset, content, protocol, 0);
  const length = writeTransport(out, transport, content);
  writeIpHeaders(out, offset, content, protocol, length);
  const field = checksumField(content);
  if (field !== undefined && !(family === 4 && content.icmp !== undefined)) {
    const addresses = offset + (family === 4 ? IPV4.source : IPV6.source);
    writeTransportChecksum(out, addresses, family, protocol, transport, length, transport + field);
  }
  return transport + length - offset;
}

function protocolOf(content: FrameContent): number {
  if (content.tcp !== undefined) return PROTOCOL.tcp;
  if (content.udp !== undefined) return PROTOCOL.udp;
  if (content.icmp !== undefined) return content.source.family === 4 ? PROTOCOL.icmp : PROTOCOL.icmpv6;
  return content.raw!.protocol;
}

function checksumField(content: FrameContent): number | undefined {
  if (content.tcp !== undefined) return TCP.checksum;
  if (content.udp !== undefined) return UDP.checksum;
  return content.icmp === undefined ? undefined : 2;
}

function writeTransport(out: Uint8Array, at: number, content: FrameContent): number {
  if (content.tcp !== undefined) return writeTcp(out, at, content.tcp);
  if (content.udp !== undefined) return writeUdp(out, at, content.udp);
  if (content.icmp !== undefined) return writeIcmp(out, at, content.icmp);
  out.set(content.raw!.payload, at);
  return content.raw!.payload.length;
}

function writeIpHeaders(
  out: Uint8Array,
  offset: number,
  content: FrameContent,
  protocol: number,
  transportLength: number,
): number {
  const { source, destination, fragment } = content;
  if (source.family === 4) {
    return writeIpv4Header(out, offset, {
      source,
      destination,
      protocol,
      payloadLength: transportLength,
      ttl: content.ttl,
      options: content.options,
      ...fragment,
    });
  }
  const extensions = content.extensions ?? [];
  const types = [...extensions.map(({ type }) => type), ...fragment ? [EXTENSION.fragment] : [], protocol];
  const first = offset + 40;
  let at = first;
  extensions.forEach(({ body }, i) => at = writeExtensionHeader(out, at, types[i + 1], body));
  if (fragment !== undefined) at = writeFragmentHeader(out, at, { nextHeader: protocol, ...fragment });
  const payloadLength = at - first + transportLength;
  writeIpv6Header(out, offset, {
    source,
    destination,
    nextHeader: types[0],
    payloadLength,
    hopLimit: content.ttl,
  });
  return at;
}

/** The bytes, in which a read outside `offset`..`offset + length` throws (as does reading undefined indices). */
export function guarded(bytes: Uint8Array, offset: number, length: number): Uint8Array {
  return new Proxy(bytes, {
    get(target, property) {
      const index = typeof property === "string" && /^-?\d+$/.test(property) ? Number(property) : undefined;
      if (index !== undefined && (index < offset || index >= offset + length)) {
        throw new RangeError(`read at ${index}, outside ${offset}..${offset + length}`);
      }
      return Reflect.get(target, property, target);
    },
  });
}
