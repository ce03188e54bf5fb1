/**
 * The fast path: packets that need no thought go from the interface straight into the kernel's IP stack, without a copy, a
 * wake-up or a write to the TUN. Two programs do it together, one after the other on each packet's way:
 *
 *   socket filter (prefilter_program.ts)  decides, drops the packet from the ring, and leaves a note on this processor's line
 *   program on tcx ingress                reads the note, takes it away, and makes the packet one for this host
 *
 * There is one decision, by one look at the claims, so nothing can change between the two. Why a note can only be about the
 * packet that finds it: the kernel runs the packet sockets' filters and then the tcx programs of an interface in one go, on
 * one processor, before it looks at the next packet (__netif_receive_skb_core, net/core/dev.c). The filter wipes the
 * note before it begins, the other program when it reads it, and the note says how the transport header begins: ports
 * and sequence number. A packet that does not match goes on as if there were no fast path: for another MAC, so the kernel
 * drops it. A note that is lost costs a packet; none is ever taken twice.
 *
 * Of a packet that is another node's, the note says so, and one to a multicast MAC becomes a packet for another host: the IP
 * stack lets go of it at once, and not only after the look-up of its route.
 */
import { EbpfAssembler, type Register } from "../../ffi/ebpf_assembler.ts";
import { TCX_NEXT } from "../../ffi/ebpf.ts";
import { PACKET_HOST, PACKET_MULTICAST, PACKET_OTHERHOST } from "../../ffi/layout/constants.ts";
import { ETHERNET_HEADER_BYTES } from "../wire/ethernet.ts";
import { IPV4, IPV4_HEADER_BYTES, IPV6, IPV6_HEADER_BYTES } from "../wire/ip_offsets.ts";
import { PROTOCOL } from "../wire/packet.ts";
import { TCP, TCP_FLAG, TCP_HEADER_BYTES } from "../wire/tcp.ts";
import { UDP, UDP_HEADER_BYTES } from "../wire/udp.ts";
import { KERNEL_CLAIMS } from "./kernel_claims.ts";
import { ANOTHERS, LINE, LINE_BYTES, LINES, type PrefilterPlan } from "./prefilter_state.ts";
import { CLAIM, FRESH } from "./shared.ts";

/** Of a transport header, as much as is looked at: TCP's up to its flags. */
const TRANSPORT_BYTES = 16;
/** As much as tells packets apart: ports, then TCP's sequence number or UDP's length and checksum. */
const BEGINNING_BYTES = 8;

/** Where the socket filter has put what is needed here, on its stack. */
export interface FilterStack {
  /** The IP header, without options or extension headers. */
  readonly ip: number;
  /** The pointers to the packet and to the processor's line. */
  readonly context: number;
  readonly line: number;
  /** Room for {@link TRANSPORT_BYTES}. */
  readonly transport: number;
}

const CONTEXT: Register = 6;
const BYTES: Register = 7;
const OFFSET: Register = 8;
const FLAGS: Register = 7;
const VARIOUS: Register = 9;

/** r1 = this processor's line; uses r0 to r5. */
export function loadLine(program: EbpfAssembler, state: number): void {
  program.callProcessorNumber().computeConstant("and", 0, LINES - 1)
    .computeConstant("shiftLeft", 0, Math.log2(LINE_BYTES))
    .loadMapAddress(1, state).compute("add", 1, 0);
}

/** Adds `amount` to a number of the line in r1, which no other processor writes; uses r2. */
export function addToLine(program: EbpfAssembler, offset: number, amount: Register | "one"): void {
  program.load(8, 2, 1, offset);
  if (amount === "one") program.computeConstant("add", 2, 1);
  else program.compute("add", 2, amount);
  program.store(8, 1, offset, 2);
}

/** Forgets the note on the line in r1; uses r2. */
export function wipeNote(program: EbpfAssembler): void {
  program.computeConstant("move", 2, 0).store(8, 1, LINE.offset, 2);
}

/** Notes on the line in r1 that the packet is another node's; uses r2. */
export function noteAnothers(program: EbpfAssembler): void {
  program.computeConstant("move", 2, ANOTHERS).store(8, 1, LINE.offset, 2);
}

/**
 * The filter's part, for a packet of TCP or UDP whose bucket has the flags in r0 (not 0) and belongs to the service in `service`.
 * Goes to "pass" unless the pipeline would accept it, for its claim alone; else leaves the note and goes to "reject".
 */
export function leaveToFastPath(
  program: EbpfAssembler,
  plan: PrefilterPlan,
  interest: number,
  service: Register,
  stack: FilterStack,
): void {
  const families = plan.fast ?? new Set();
  program.jumpIf("equal", 0, CLAIM, "claimed").jumpIf("notEqual", 0, CLAIM | FRESH, "pass")
    .label("claimed").compute("move", FLAGS, 0)
    .loadConstant(1, plainServices(plan)).compute("shiftRight", 1, service)
    .computeConstant("and", 1, 1).jumpIf("equal", 1, 0, "pass");
  claimHolds(program, interest);

  // Whole, and not in a VLAN: what the parser would say (wire/ipv4.ts, ipv6.ts, tcp.ts, udp.ts).
  program.load(8, CONTEXT, 10, stack.context)
    .loadContext("vlan_present", 1, CONTEXT).jumpIf("notEqual", 1, 0, "pass")
    .loadContext("len", VARIOUS, CONTEXT)
    .load(1, 1, 10, stack.ip);
  if (families.has(4)) program.jumpIf("equal", 1, 0x45, "plain4");
  if (families.has(6)) program.computeConstant("and", 1, 0xf0).jumpIf("equal", 1, 0x60, "plain6");
  program.jump("pass");
  if (families.has(4)) {
    program.label("plain4").load(2, BYTES, 10, stack.ip + IPV4.totalLength).fromNetwork16(BYTES)
      .computeConstant("add", BYTES, -IPV4_HEADER_BYTES)
      .computeConstant("move", OFFSET, ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES)
      .load(1, 3, 10, stack.ip + IPV4.protocol).jump("transport");
  }
  if (families.has(6)) {
    program.label("plain6").load(2, BYTES, 10, stack.ip + IPV6.payloadLength).fromNetwork16(BYTES)
      .computeConstant("move", OFFSET, ETHERNET_HEADER_BYTES + IPV6_HEADER_BYTES)
      .load(1, 3, 10, stack.ip + IPV6.nextHeader);
  }
  program.label("transport")
    // Less than the IP header is a huge number here.
    .jumpIf("above", BYTES, 0xffff, "pass")
    .compute("move", 1, BYTES).compute("add", 1, OFFSET).jumpIfRegister("above", 1, VARIOUS, "pass")
    .jumpIf("equal", 3, PROTOCOL.udp, "plainUdp");

  program.jumpIf("above", BYTES, TCP_HEADER_BYTES - 1, "tcpHeader").jump("pass")
    .label("tcpHeader")
    .readPacket(CONTEXT, { register: OFFSET }, TRANSPORT_BYTES, stack.transport, "pass")
    .load(1, 1, 10, stack.transport + TCP.dataOffset)
    .computeConstant("shiftRight", 1, 4).computeConstant("shiftLeft", 1, 2)
    .jumpIfRegister("above", 1, BYTES, "pass")
    .jumpIf("above", 1, TCP_HEADER_BYTES - 1, "tcpOptions").jump("pass")
    .label("tcpOptions")
    .load(1, 3, 10, stack.transport + TCP.flags).computeConstant("and", 3, TCP_FLAG.syn | TCP_FLAG.ack)
    .computeConstant("move", VARIOUS, 0).jumpIf("notEqual", 3, TCP_FLAG.syn, "note")
    .computeConstant("move", VARIOUS, 1).jump("note");

  program.label("plainUdp")
    .jumpIf("above", BYTES, UDP_HEADER_BYTES - 1, "udpHeader").jump("pass")
    .label("udpHeader")
    .readPacket(CONTEXT, { register: OFFSET }, BEGINNING_BYTES, stack.transport, "pass")
    .load(2, 1, 10, stack.transport + UDP.length).fromNetwork16(1)
    .jumpIfRegister("above", 1, BYTES, "pass")
    .jumpIf("above", 1, UDP_HEADER_BYTES - 1, "udpWhole").jump("pass")
    .label("udpWhole").computeConstant("move", VARIOUS, 0);

  program.label("note").load(8, 1, 10, stack.line)
    .load(8, 2, 10, stack.transport).store(8, 1, LINE.beginning, 2).store(8, 1, LINE.offset, OFFSET);
  addToLine(program, LINE.fast, "one");
  addToLine(program, LINE.newFlows, VARIOUS);
  program.compute("add", BYTES, OFFSET).computeConstant("add", BYTES, -ETHERNET_HEADER_BYTES);
  addToLine(program, LINE.bytes, BYTES);
  program.jump("reject");
}

/** Goes to "pass" unless the lease holds, and the flags in `FLAGS` count for this packet. */
function claimHolds(program: EbpfAssembler, interest: number): void {
  program.callBootTime().loadMapAddress(1, interest)
    .load(8, 2, 1, KERNEL_CLAIMS.lease).jumpIfRegister("above", 2, 0, "leased").jump("pass")
    .label("leased").load(8, 2, 1, KERNEL_CLAIMS.off).jumpIf("notEqual", 2, 0, "pass")
    .jumpIf("equal", FLAGS, CLAIM, "settled")
    .load(8, 2, 1, KERNEL_CLAIMS.settled).jumpIfRegister("above", 2, 0, "pass")
    .label("settled");
}

/** The program on tcx ingress, over the same map. */
export function fastPathProgram(state: number): Uint8Array<ArrayBuffer> {
  const program = new EbpfAssembler().compute("move", CONTEXT, 1);
  loadLine(program, state);
  program.load(8, OFFSET, 1, LINE.offset).jumpIf("equal", OFFSET, 0, "next").compute("move", BYTES, 1);
  wipeNote(program);
  program.jumpIf("equal", OFFSET, ANOTHERS, "anothers")
    .readPacket(CONTEXT, { register: OFFSET }, BEGINNING_BYTES, -BEGINNING_BYTES, "next")
    .load(8, 1, 10, -BEGINNING_BYTES).load(8, 2, BYTES, LINE.beginning)
    .jumpIfRegister("notEqual", 1, 2, "next")
    .changePacketType(CONTEXT, PACKET_HOST).jumpIf("notEqual", 0, 0, "next")
    .compute("move", 1, BYTES);
  addToLine(program, LINE.taken, "one");
  return program.jump("next")
    .label("anothers").loadContext("pkt_type", 1, CONTEXT).jumpIf("notEqual", 1, PACKET_MULTICAST, "next")
    .changePacketType(CONTEXT, PACKET_OTHERHOST)
    .label("next").moveWord(0, TCX_NEXT).exit().assemble();
}

/** Numbers of the services whose packets need nothing but a claim, one bit for each. No service covers table 0. */
function plainServices({ services }: PrefilterPlan): bigint {
  return services.reduce(
    (bits, { flowTimeoutMs }, index) => flowTimeoutMs === undefined ? bits | (1n << BigInt(index + 1)) : bits,
    0n,
  );
}
