/**
 * The probe of the LAN: a frame for a virtual IP, as clients' frames are, that every node sends once a second. Who gets
 * those of the others is reached by what is sent to the virtual IP (membership/reach.ts).
 *
 * It is UDP from and to the heartbeats' port: filters between the nodes have to let that through anyway, and those that
 * follow connections drop what they take for no part of one. It proves by its arrival alone, whoever sent it, so it is not
 * authenticated.
 */

import { addressFromBytes } from "../core/address.ts";
import { readInt32 } from "./bytes.ts";
import { writeTransportChecksum } from "./checksum.ts";
import { ETHER_TYPE, ETHERNET_HEADER_BYTES, writeEthernetHeader } from "./ethernet.ts";
import { IPV4, IPV4_HEADER_BYTES, IPV6, IPV6_HEADER_BYTES } from "./ip_offsets.ts";
import { writeIpv4Header } from "./ipv4.ts";
import { writeIpv6Header } from "./ipv6.ts";
import { UDP, UDP_HEADER_BYTES, writeUdp } from "./udp.ts";
import { PacketKind, type PacketView, PROTOCOL } from "./view.ts";

/** For who looks with tcpdump(8). Its beginning tells a probe from whatever else comes to that port. */
const TEXT = new TextEncoder().encode("vipfarm: does this reach every node?");
const MARK = readInt32(TEXT, 0);
/** No router hands it on. */
const TTL = 1;

/** Where a probe is sent to, and by whom. Addresses are of one family, MACs have 6 bytes. */
export interface LanProbe {
  virtualIp: Uint8Array;
  virtualMac: Uint8Array;
  source: Uint8Array;
  sourceMac: Uint8Array;
  /** That of the heartbeats. */
  port: number;
}

/** The whole Ethernet frame. */
export function lanProbeFrame(probe: LanProbe): Uint8Array<ArrayBuffer> {
  const family = probe.virtualIp.length === 4 ? 4 : 6;
  const headerBytes = family === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
  const payloadLength = UDP_HEADER_BYTES + TEXT.length;
  const frame = new Uint8Array(ETHERNET_HEADER_BYTES + headerBytes + payloadLength);
  const etherType = family === 4 ? ETHER_TYPE.ipv4 : ETHER_TYPE.ipv6;
  const ip = writeEthernetHeader(frame, 0, probe.virtualMac, probe.sourceMac, etherType);
  const ends = { source: addressFromBytes(probe.source), destination: addressFromBytes(probe.virtualIp) };
  const udp = family === 4
    ? writeIpv4Header(frame, ip, { ...ends, protocol: PROTOCOL.udp, payloadLength, ttl: TTL })
    : writeIpv6Header(frame, ip, { ...ends, nextHeader: PROTOCOL.udp, payloadLength, hopLimit: TTL });
  writeUdp(frame, udp, { sourcePort: probe.port, destinationPort: probe.port, payload: TEXT });
  const addresses = ip + (family === 4 ? IPV4.source : IPV6.source);
  writeTransportChecksum(frame, addresses, family, PROTOCOL.udp, udp, payloadLength, udp + UDP.checksum);
  return frame;
}

/** Whether the packet that the view describes is a probe. */
export function isLanProbe(bytes: Uint8Array, view: PacketView, port: number): boolean {
  if (view.kind !== PacketKind.udp || view.destinationPort !== port || view.sourcePort !== port) return false;
  const payload = view.transportOffset + UDP_HEADER_BYTES;
  return !view.isFragment && payload + 4 <= view.ipOffset + view.totalLength &&
    readInt32(bytes, payload) === MARK;
}
