/**
 * Does somebody on the LAN answer for an address? By the questions that a host asks before it takes one: ARP probes
 * (RFC 5227 section 2.1.1) and neighbour solicitations without a source (RFC 4862 section 5.4).
 */
import { BpfAssembler, type BpfInstruction } from "../../ffi/bpf.ts";
import {
  PacketSocket,
  TP2_MAC,
  TP2_SNAPLEN,
  TP_STATUS_KERNEL,
  TP_STATUS_USER,
} from "../../ffi/packet_socket.ts";
import { addressFromBytes, type IpAddress } from "../core/address.ts";
import { ARP, ARP_FRAME_BYTES, ARP_OPERATION, writeArp } from "../wire/arp.ts";
import { readUint16, writeUint16 } from "../wire/bytes.ts";
import {
  ETHER_TYPE,
  ETHERNET_HEADER_BYTES,
  formatMac,
  solicitedNodeAddress,
  solicitedNodeMac,
} from "../wire/ethernet.ts";
import { writeIpv6Header } from "../wire/ipv6.ts";
import { ND, ND_ADVERTISE, ND_HOP_LIMIT, writeNeighbourSolicitation } from "../wire/ndp.ts";
import { PROTOCOL } from "../wire/packet.ts";

/** Asked so often, since one question may be lost, so far apart. */
const QUESTIONS = 2;
const EVERY_MS = 300;
/** Answers that may wait: many hosts do not have one address. */
const FRAMES = 32;
const FRAME_BYTES = 512;
const IPV6_HEADER_BYTES = 40;
const SOLICITATION_BYTES = 24;
const BROADCAST = new Uint8Array(6).fill(0xff);

/** The MACs that answer for each address, by its text. Throws SystemError (CAP_NET_RAW is needed). */
export async function answerers(
  { index, mac }: { readonly index: number; readonly mac: Uint8Array },
  targets: readonly IpAddress[],
): Promise<Map<string, Set<string>>> {
  const found = new Map<string, Set<string>>(targets.map(({ text }) => [text, new Set<string>()]));
  using socket = PacketSocket.open({
    interfaceIndex: index,
    frameCount: FRAMES,
    frameBytes: FRAME_BYTES,
    filter: answersFilter(),
    memberships: [],
  });
  for (let question = 0; question < QUESTIONS; question++) {
    for (const target of targets) socket.send(questionFor(target, mac));
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    takeAnswers(socket, found);
  }
  return found;
}

/** ARP replies and neighbour advertisements. */
function answersFilter(): BpfInstruction[] {
  return new BpfAssembler().load(12, 2).jumpIfEqual(ETHER_TYPE.arp, "arp").jumpIfEqual(
    ETHER_TYPE.ipv6,
    "ipv6",
  )
    .label("reject").reject()
    .label("arp").load(ETHERNET_HEADER_BYTES + ARP.operation, 2).jumpIfEqual(ARP_OPERATION.reply, "accept")
    .label("other").reject()
    .label("ipv6").load(ETHERNET_HEADER_BYTES + 6, 1).jumpUnlessEqual(PROTOCOL.icmpv6, "none")
    .load(ETHERNET_HEADER_BYTES + IPV6_HEADER_BYTES, 1).jumpIfEqual(ND_ADVERTISE, "accept")
    .label("none").reject()
    .label("accept").accept().assemble();
}

function questionFor(target: IpAddress, mac: Uint8Array): Uint8Array {
  if (target.family === 4) {
    const frame = new Uint8Array(ARP_FRAME_BYTES);
    writeArp(frame, 0, {
      operation: ARP_OPERATION.request,
      destinationMac: BROADCAST,
      sourceMac: mac,
      senderMac: mac,
      senderIp: new Uint8Array(4),
      targetMac: new Uint8Array(6),
      targetIp: target.bytes,
    });
    return frame;
  }
  const frame = new Uint8Array(ETHERNET_HEADER_BYTES + IPV6_HEADER_BYTES + SOLICITATION_BYTES);
  frame.set(solicitedNodeMac(target), 0);
  frame.set(mac, 6);
  writeUint16(frame, 12, ETHER_TYPE.ipv6);
  writeIpv6Header(frame, ETHERNET_HEADER_BYTES, {
    source: addressFromBytes(new Uint8Array(16)),
    destination: addressFromBytes(solicitedNodeAddress(target)),
    nextHeader: PROTOCOL.icmpv6,
    hopLimit: ND_HOP_LIMIT,
    payloadLength: SOLICITATION_BYTES,
  });
  const message = ETHERNET_HEADER_BYTES + IPV6_HEADER_BYTES;
  writeNeighbourSolicitation(frame, ETHERNET_HEADER_BYTES, message, target.bytes, undefined);
  return frame;
}

function takeAnswers(socket: PacketSocket, found: Map<string, Set<string>>): void {
  const { ring, status, frameStride, frameCount } = socket;
  const words = new Uint32Array(ring.buffer);
  for (let frame = 0; frame < frameCount; frame++) {
    const start = frame * frameStride;
    if ((Atomics.load(status, start >>> 2) & TP_STATUS_USER) === 0) continue;
    const at = start + (ring[start + TP2_MAC] | (ring[start + TP2_MAC + 1] << 8));
    readAnswer(ring.subarray(at, at + words[(start + TP2_SNAPLEN) >>> 2]), found);
    Atomics.store(status, start >>> 2, TP_STATUS_KERNEL);
  }
}

function readAnswer(frame: Uint8Array, found: Map<string, Set<string>>): void {
  const isArp = readUint16(frame, 12) === ETHER_TYPE.arp;
  const message = ETHERNET_HEADER_BYTES + (isArp ? 0 : IPV6_HEADER_BYTES);
  const [address, bytes] = isArp ? [message + ARP.senderIp, 4] : [message + ND.target, 16];
  // In an advertisement the MAC is an option behind the target: type, length, then it. Without it, the frame's.
  const option = message + ND.options + 2;
  const mac = isArp ? message + ARP.senderMac : frame.length >= option + 6 ? option : 6;
  if (frame.length < address + bytes || frame.length < mac + 6) return;
  found.get(addressFromBytes(frame.slice(address, address + bytes)).text)?.add(formatMac(frame, mac));
}
