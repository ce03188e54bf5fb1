/**
 * What a parsed packet looks like to the packet thread: one mutable object per thread, filled with numbers by
 * parseEthernet or parseIp (packet.ts). Nothing is copied out of the buffer; fields that end in `Offset` are
 * positions in the buffer that was parsed, so they are valid only while that buffer holds the frame.
 */

/** What a frame is, and thereby which fields of the view have a meaning. */
export const PacketKind = {
  /** A header is cut short or contradicts itself. No other field has a meaning. */
  malformed: 0,
  /** Not ARP and not IP, or VLAN-tagged. No other field has a meaning, but `linkOffset`. */
  other: 1,
  /** An ARP request for an IPv4 address over Ethernet: the arp fields. */
  arpRequest: 2,
  /** Any other ARP message (a reply, or one that must not be answered): the arp fields. */
  arpOther: 3,
  /** A neighbour solicitation that passed every check of RFC 4861 section 7.1.1: the IP and nd fields. */
  ndSolicit: 4,
  /** TCP, also as the first fragment: the IP fields, ports and flags. */
  tcp: 5,
  /** UDP, also as the first fragment: the IP fields and ports. */
  udp: 6,
  /** An ICMP or ICMPv6 echo request, also as the first fragment: the IP and icmp fields. */
  icmpEcho: 7,
  /** An ICMP or ICMPv6 error: the IP, icmp and quoted fields. */
  icmpError: 8,
  /** A fragment other than the first, which has no ports: the IP and fragment fields. */
  fragmentRest: 9,
  /** Whatever else is well-formed IP: the IP fields. */
  otherIp: 10,
} as const;
export type PacketKind = typeof PacketKind[keyof typeof PacketKind];

/** Names by number, for counters and messages. */
export const PACKET_KIND_NAMES: readonly string[] = Object.keys(PacketKind);

/** Protocol numbers of the IANA registry as far as the parser tells them apart. */
export const PROTOCOL = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  icmpv6: 58,
} as const;

/** The parsed view. Every number is a small integer, every field always has the same type. */
export class PacketView {
  /** The result of the last parse. */
  kind: PacketKind = PacketKind.malformed;

  // Link layer
  /** Where the Ethernet header begins; its destination is at +0, its source at +6. -1 after parseIp. */
  linkOffset = -1;

  // IP: every kind from ndSolicit on
  /** 4 or 6; 0 when the packet is not IP. */
  family: 0 | 4 | 6 = 0;
  ipOffset = 0;
  /** Length of the IP packet in bytes, header included, Ethernet padding excluded: what to hand on. */
  totalLength = 0;
  /** Time to live or hop limit. */
  ttl = 0;
  /** Byte offset of the source address (4 or 16 bytes). */
  sourceOffset = 0;
  /** Byte offset of the destination address (4 or 16 bytes). */
  destinationOffset = 0;
  /** The protocol above IP and all extension headers; in a fragmentRest the one its fragment header names. */
  protocol = 0;
  /** Where that protocol's header begins; in a fragmentRest where its piece of the payload begins. */
  transportOffset = 0;

  // Fragments: a whole packet has isFragment false and zeros
  /** Whether reassembly is needed. An IPv6 atomic fragment (RFC 6946) needs none and is not one. */
  isFragment = false;
  /** Position of this piece in the reassembled payload, in bytes. */
  fragmentOffset = 0;
  moreFragments = false;
  /** 16 bits (IPv4) or 32 bits as a signed integer (IPv6). */
  fragmentId = 0;
  /**
   * The protocol as part of the reassembly key: that of the header in IPv4 (RFC 791), 0 in IPv6, where the
   * key is (source, destination, identification) only and pieces may name different next headers (RFC 8200).
   */
  fragmentProtocol = 0;

  // Transport: 0 where the kind has none
  sourcePort = 0;
  destinationPort = 0;
  /** The flags byte of the TCP header: TCP_FLAG of tcp.ts. */
  tcpFlags = 0;

  // ICMP and ICMPv6
  icmpType = 0;
  icmpCode = 0;

  // The packet that an ICMP error quotes. This host sent it: its source is ours, its destination the client.
  quotedFamily: 0 | 4 | 6 = 0;
  quotedProtocol = 0;
  /** Byte offset of the quoted source address: our side, the virtual IP. */
  quotedSourceOffset = 0;
  /** Byte offset of the quoted destination address: the client. */
  quotedDestinationOffset = 0;
  /** Whether the quoted ports are known: not for a later fragment, a short quote or a protocol without. */
  quotedHasPorts = false;
  /** Our port. */
  quotedSourcePort = 0;
  /** The client's port. */
  quotedDestinationPort = 0;

  // ARP (RFC 826, IPv4 over Ethernet)
  arpOperation = 0;
  arpSenderMacOffset = 0;
  arpSenderIpOffset = 0;
  arpTargetIpOffset = 0;

  // Neighbour solicitation (RFC 4861 section 4.3)
  /** Byte offset of the 16-byte target address. */
  ndTargetOffset = 0;
  /** Byte offset of the 6-byte MAC in the source link-layer address option; -1 without one. */
  ndSourceLinkOffset = -1;
  /** Whether the source is `::`: duplicate address detection, which is answered to all nodes. */
  ndDuplicateDetection = false;
}
