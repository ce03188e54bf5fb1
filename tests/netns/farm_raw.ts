/** Frames that no ordinary client sends, from a client of a lab to a virtual IP. */

import { type IpAddress, parseAddress } from "../../src/core/address.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { ETHER_TYPE, parseMac, writeEthernetHeader } from "../../src/wire/ethernet.ts";
import { ICMP_TYPE, ICMPV6_TYPE } from "../../src/wire/icmp.ts";
import { type FrameContent, writePacket } from "../unit/wire/frames.ts";
import { ownMac } from "./farm_support.ts";
import { RawSender } from "./farm_tap.ts";
import { virtualMacs } from "./farm_watch.ts";

const FRAME_BYTES_MAX = 9000;
const UDP_PROTOCOL = 17;
/** Where the transport header stands in a packet without options. */
const HEADER_BYTES = { 4: 20, 6: 40 } as const;
/** Quoted by a router: the IP header and the 8 bytes that hold ports and sequence number (RFC 792). */
const QUOTED_TRANSPORT_BYTES = 8;

/** An address that must be one. */
export function ip(text: string): IpAddress {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return address;
}

/** Sends packets as a station's own interface would, to the virtual MAC. */
export class RawClient implements Disposable {
  readonly #sender: RawSender;
  readonly #mac: Uint8Array;
  readonly #virtual: ReadonlyMap<string, string>;

  private constructor(lab: Lab, name: string, mac: string) {
    this.#sender = new RawSender(lab, name);
    this.#mac = parseMac(mac)!;
    this.#virtual = virtualMacs(lab);
  }

  static async open(lab: Lab, name: string): Promise<RawClient> {
    return new RawClient(lab, name, await ownMac(lab, name));
  }

  /** `tag`: VLAN protocol and tag (priority and number). */
  send(content: FrameContent, tag?: { protocol: number; tci: number }): void {
    const out = new Uint8Array(FRAME_BYTES_MAX);
    const { family, text } = content.destination;
    const etherType = family === 4 ? ETHER_TYPE.ipv4 : ETHER_TYPE.ipv6;
    const mac = parseMac(this.#virtual.get(text)!)!;
    let at = writeEthernetHeader(out, 0, mac, this.#mac, tag?.protocol ?? etherType);
    if (tag !== undefined) {
      out.set([tag.tci >> 8, tag.tci & 255, etherType >> 8, etherType & 255], at);
      at += 4;
    }
    this.#sender.send(out.subarray(0, at + writePacket(out, at, content)));
  }

  [Symbol.dispose](): void {
    this.#sender[Symbol.dispose]();
  }
}

/** A UDP datagram as the fragments that a path with an MTU of 1,500 makes of it. */
export function fragmentsOf(
  { source, destination, udp }: Required<Pick<FrameContent, "source" | "destination" | "udp">>,
  id: number,
): FrameContent[] {
  const { family } = source;
  const whole = new Uint8Array(FRAME_BYTES_MAX);
  const length = writePacket(whole, 0, { source, destination, udp });
  const datagram = whole.subarray(HEADER_BYTES[family], length);
  const room = family === 4 ? 1480 : 1448;
  const fragments: FrameContent[] = [];
  for (let offset = 0; offset < datagram.length; offset += room) {
    const payload = datagram.subarray(offset, offset + room);
    fragments.push({
      source,
      destination,
      fragment: { id, fragmentOffset: offset, moreFragments: offset + room < datagram.length },
      raw: { protocol: UDP_PROTOCOL, payload },
    });
  }
  return fragments;
}

/** A router's message that the farm's segment to the client does not fit into `mtu` bytes. */
export function tooBig(
  router: IpAddress,
  flow: { vip: IpAddress; port: number; client: IpAddress; clientPort: number; sequence: number },
  mtu: number,
): FrameContent {
  const { family } = flow.vip;
  const quoted = new Uint8Array(FRAME_BYTES_MAX);
  writePacket(quoted, 0, {
    source: flow.vip,
    destination: flow.client,
    tcp: {
      sourcePort: flow.port,
      destinationPort: flow.clientPort,
      sequence: flow.sequence,
      flags: 0x10,
      payload: new Uint8Array(1400),
    },
  });
  const body = quoted.subarray(0, HEADER_BYTES[family] + QUOTED_TRANSPORT_BYTES);
  // RFC 1191 section 4: code 4, MTU in the low half; RFC 4443 section 3.2: MTU in all four bytes.
  const icmp = family === 4
    ? { type: ICMP_TYPE.unreachable, code: 4, rest: mtu, body }
    : { type: ICMPV6_TYPE.packetTooBig, rest: mtu, body };
  return { source: router, destination: flow.vip, icmp };
}

/** All orders of some things. */
export function orders<Item>(items: readonly Item[]): Item[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, i) =>
    orders([...items.slice(0, i), ...items.slice(i + 1)]).map((rest) => [item, ...rest])
  );
}
