/**
 * The capture filter as an extended BPF program that knows, beyond what capture_filter.ts does, which buckets are any
 * business of this node. A packet of another node's bucket is dropped before it is copied and before it wakes anybody.
 *
 *   VLAN, virtual IP, virtual MAC -> whole TCP or UDP packet -> service by port -> bucket -> any flag?
 *
 * It drops what capture_filter.ts rejects, and what the pipeline would drop as `not_owner`, going by a copy of the
 * claims. Everything that is not plain (fragments, extension headers, ICMP, ports of no service, broken headers) passes,
 * and the pipeline decides on whatever passes: the program saves work, it settles nothing. What the pipeline would accept
 * for no other reason than a plain claim, the program may leave to the fast path (fast_path_program.ts).
 *
 * The parts below stand in the order of the program. Numbers in packets are compared as this machine reads them,
 * little-endian on both machines that we run on; the hash reads its message so, too.
 */
import { EbpfAssembler, type Register } from "../../ffi/ebpf_assembler.ts";
import { BUCKET_MASK, BUCKETS } from "../core/limits.ts";
import { AFFINITY } from "../ownership/flow_hash.ts";
import { ETHER_TYPE, ETHERNET_HEADER_BYTES } from "../wire/ethernet.ts";
import { IPV4, IPV4_HEADER_BYTES, IPV6, IPV6_HEADER_BYTES } from "../wire/ip_offsets.ts";
import { ND, ND_SOLICIT } from "../wire/ndp.ts";
import { PROTOCOL } from "../wire/packet.ts";
import { addToLine, leaveToFastPath, loadLine, noteAnothers, wipeNote } from "./fast_path_program.ts";
import { KERNEL_CLAIMS } from "./kernel_claims.ts";
import { type PlannedVip } from "./plan.ts";
import { compressWord, finishHash, startHash } from "./prefilter_hash.ts";
import {
  AFFINITY_SHIFT,
  LINE,
  PORTS,
  PORTS_BYTES,
  PORTS_OFFSET,
  portSets,
  type PrefilterPlan,
  SERVICE_MASK,
} from "./prefilter_state.ts";

/** Frame offsets of what is read. */
const IP = ETHERNET_HEADER_BYTES;
const ARP_TARGET = IP + 24;
const IPV6_PAYLOAD = IP + IPV6_HEADER_BYTES;

/** The stack, from its end: the ports, before them the IP header, before it the Ethernet header. All words aligned. */
const STACK_PORTS = -8;
const STACK_IP = STACK_PORTS - IPV6_HEADER_BYTES;
const STACK_ETHERNET = STACK_IP - ETHERNET_HEADER_BYTES;
/** Below that, what outlives its register: the pointers to the packet and to this processor's line. */
const STACK_CONTEXT = -72;
const STACK_LINE = STACK_CONTEXT - 8;
const STACK_TRANSPORT = STACK_LINE - 16;

/** Registers that helpers leave alone. */
const CONTEXT: Register = 6;
const PORT_TABLE: Register = 7;
const WORD: Register = 8;
const SERVICE: Register = 9;

/** The program over the two maps, given as descriptors, for at least one virtual IP. It returns 0, or all ones: the packet passes whole. */
export function prefilterProgram(
  plan: PrefilterPlan,
  maps: { interest: number; state: number },
): Uint8Array<ArrayBuffer> {
  const program = new EbpfAssembler();
  const { indexOf } = portSets(plan);
  const v4 = plan.vips.flatMap((vip, index) => vip.address.length === 4 ? [{ ...vip, index }] : []);
  const v6 = plan.vips.flatMap((vip, index) => vip.address.length === 16 ? [{ ...vip, index }] : []);
  let labels = 0;
  /** For each virtual IP whose address stands at `stackOffset`, `then`, which must jump; else to "reject". */
  const forAddress = <V extends PlannedVip>(list: V[], stackOffset: number, then: (vip: V) => void) => {
    for (const vip of list) {
      const next = `next${labels++}`;
      for (let word = 0; word < vip.address.length; word += 4) {
        program.load(4, 0, 10, stackOffset + word).jumpIf("notEqual", 0, read32(vip.address, word), next);
      }
      then(vip);
      program.label(next);
    }
    program.jump("reject");
  };
  /** Compares the virtual MAC and selects the virtual IP's ports. */
  const enter = (label: string) => ({ mac, index }: PlannedVip & { index: number }) => {
    program.load(2, 0, 10, STACK_ETHERNET).jumpIf("notEqual", 0, read16(mac, 0), "reject")
      .load(4, 0, 10, STACK_ETHERNET + 2).jumpIf("notEqual", 0, read32(mac, 2), "reject")
      .computeConstant("move", PORT_TABLE, indexOf[index] * PORTS_BYTES).jump(label);
  };

  program.compute("move", CONTEXT, 1).store(8, 10, STACK_CONTEXT, CONTEXT);
  loadLine(program, maps.state);
  program.store(8, 10, STACK_LINE, 1);
  if (plan.fast !== undefined) wipeNote(program);
  program
    // A tagged frame belongs to the VLAN's own interface; tag 0 only gives a priority.
    .loadVlanTag(0, CONTEXT).jumpIfBits(0, 0x0fff, "reject")
    .readPacket(CONTEXT, 0, ETHERNET_HEADER_BYTES, STACK_ETHERNET, "reject")
    .load(2, 0, 10, STACK_ETHERNET + 12)
    .jumpIf("equal", 0, network16(ETHER_TYPE.ipv4), "ipv4")
    .jumpIf("equal", 0, network16(ETHER_TYPE.ipv6), "ipv6")
    .jumpIf("notEqual", 0, network16(ETHER_TYPE.arp), "reject")
    .readPacket(CONTEXT, ARP_TARGET, 4, STACK_IP, "reject");
  forAddress(v4, STACK_IP, () => program.jump("pass"));

  program.label("ipv4").readPacket(CONTEXT, IP, IPV4_HEADER_BYTES, STACK_IP, "reject");
  forAddress(v4, STACK_IP + IPV4.destination, enter("packet4"));

  program.label("ipv6").readPacket(CONTEXT, IP, IPV6_HEADER_BYTES, STACK_IP, "reject")
    .load(1, 0, 10, STACK_IP + IPV6.nextHeader).jumpIf("notEqual", 0, PROTOCOL.icmpv6, "destination")
    .readPacket(CONTEXT, IPV6_PAYLOAD, 1, STACK_PORTS, "reject")
    .load(1, 0, 10, STACK_PORTS).jumpIf("notEqual", 0, ND_SOLICIT, "destination")
    .readPacket(CONTEXT, IPV6_PAYLOAD + ND.target, 16, STACK_IP, "reject");
  forAddress(v6, STACK_IP, () => program.jump("pass"));
  program.label("destination");
  forAddress(v6, STACK_IP + IPV6.destination, enter("packet6"));

  const tables = plan.services.length + 1;
  // The kernel refuses code that nothing reaches.
  if (v4.length > 0) packet4(program, maps.state, tables, plan.flowKey);
  if (v6.length > 0) packet6(program, maps.state, tables, plan.flowKey);
  bucket(program, plan, maps);
  return program.label("reject").moveWord(0, 0).exit()
    .label("pass").moveWord(0, -1).exit()
    .assemble();
}

/** A whole IPv4 packet of TCP or UDP, with options or without. Its message is one word, in r6. */
function packet4(program: EbpfAssembler, state: number, tables: number, flowKey: Uint8Array): void {
  // The first byte is version 4 and a length of 5 to 15 words.
  program.label("packet4").load(1, 0, 10, STACK_IP).computeConstant("add", 0, -0x45)
    .jumpIf("above", 0, 10, "pass")
    .load(2, 1, 10, STACK_IP + IPV4.fragment).jumpIfBits(1, network16(0x3fff), "pass")
    .load(1, 1, 10, STACK_IP + IPV4.protocol).jumpIf("equal", 1, PROTOCOL.tcp, "ports4")
    .jumpIf("notEqual", 1, PROTOCOL.udp, "pass").computeConstant("add", PORT_TABLE, PORTS)
    .label("ports4").computeConstant("shiftLeft", 0, 2).computeConstant("add", 0, IP + IPV4_HEADER_BYTES)
    .readPacket(CONTEXT, { register: 0 }, 4, STACK_PORTS, "pass");
  service(program, state, tables);
  program.load(4, 6, 10, STACK_IP + IPV4.source)
    .jumpIf("equal", 1, AFFINITY.client, "client4").jumpIf("equal", 1, AFFINITY.network, "network4")
    .load(2, 1, 10, STACK_PORTS).computeConstant("shiftLeft", 1, 32).compute("or", 6, 1)
    .loadConstant(1, 6n << 56n).jump("message4")
    .label("network4").computeConstant("and", 6, 0x00ff_ffff)
    .label("client4").loadConstant(1, 4n << 56n)
    .label("message4").compute("or", 6, 1);
  startHash(program, flowKey);
  program.jump("hash");
}

/** An IPv6 packet of TCP or UDP without extension headers. Two words of its message go in here, the last is in r6. */
function packet6(program: EbpfAssembler, state: number, tables: number, flowKey: Uint8Array): void {
  program.label("packet6").load(1, 0, 10, STACK_IP).computeConstant("and", 0, 0xf0)
    .jumpIf("notEqual", 0, 0x60, "pass")
    .load(1, 1, 10, STACK_IP + IPV6.nextHeader).jumpIf("equal", 1, PROTOCOL.tcp, "ports6")
    .jumpIf("notEqual", 1, PROTOCOL.udp, "pass").computeConstant("add", PORT_TABLE, PORTS)
    .label("ports6").readPacket(CONTEXT, IPV6_PAYLOAD, 4, STACK_PORTS, "pass");
  service(program, state, tables);
  program.load(8, PORT_TABLE, 10, STACK_IP + IPV6.source).load(8, WORD, 10, STACK_IP + IPV6.source + 8)
    .loadConstant(6, 16n << 56n)
    .jumpIf("equal", 1, AFFINITY.client, "message6").jumpIf("equal", 1, AFFINITY.network, "network6")
    .load(2, 6, 10, STACK_PORTS).loadConstant(1, 18n << 56n).compute("or", 6, 1).jump("message6")
    .label("network6").computeConstant("move", WORD, 0)
    .label("message6");
  startHash(program, flowKey);
  compressWord(program, PORT_TABLE);
  compressWord(program, WORD);
  program.jump("hash");
}

/** From the port to the service's number and, in r1, its affinity. */
function service(program: EbpfAssembler, state: number, tables: number): void {
  program.load(2, 1, 10, STACK_PORTS + 2).fromNetwork16(1).compute("add", PORT_TABLE, 1)
    .loadMapAddress(2, state, PORTS_OFFSET).compute("add", 2, PORT_TABLE).load(1, SERVICE, 2, 0)
    .compute("move", 1, SERVICE).computeConstant("shiftRight", 1, AFFINITY_SHIFT)
    .computeConstant("and", SERVICE, SERVICE_MASK).jumpIf("above", SERVICE, tables - 1, "pass");
}

/** The last word of the message, in r6; the bucket; and what this node has to do with it. */
function bucket(
  program: EbpfAssembler,
  plan: PrefilterPlan,
  maps: { interest: number; state: number },
): void {
  program.label("hash");
  compressWord(program, 6);
  finishHash(program, 0);
  program.computeConstant("and", 0, BUCKET_MASK)
    .compute("move", 1, SERVICE).computeConstant("shiftLeft", 1, Math.log2(BUCKETS)).compute("add", 0, 1)
    .loadMapAddress(1, maps.interest, KERNEL_CLAIMS.flags).compute("add", 1, 0).load(1, 0, 1, 0)
    .jumpIf("equal", 0, 0, "others");
  if (plan.fast === undefined) program.jump("pass");
  else {
    const stack = { ip: STACK_IP, context: STACK_CONTEXT, line: STACK_LINE, transport: STACK_TRANSPORT };
    leaveToFastPath(program, plan, maps.interest, SERVICE, stack);
  }
  program.label("others").load(8, 1, 10, STACK_LINE);
  addToLine(program, LINE.dropped, "one");
  if (plan.fast !== undefined) noteAnothers(program);
}

/** Bytes of a packet as this machine loads them. */
function read16(bytes: Uint8Array, offset: number): number {
  return bytes[offset] | (bytes[offset + 1] << 8);
}

function read32(bytes: Uint8Array, offset: number): number {
  return read16(bytes, offset) | (read16(bytes, offset + 2) << 16);
}

/** A number in network order as this machine loads it. */
function network16(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}
