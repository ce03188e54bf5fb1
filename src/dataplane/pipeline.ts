/**
 * One captured frame to one verdict, in packet order:
 *
 *   frame -> parse -> virtual IP -> service -> bucket -> claim -> lease -> TUN
 *                  \-> ARP, neighbour solicitation -> answer
 *
 * Nothing is allocated for a packet and nothing waits: what the other threads decide is read from shared memory.
 * The functions below stand in the order in which a packet meets them.
 */
import { AFFINITY, FlowHash } from "../ownership/flow_hash.ts";
import { ARP_FRAME_BYTES, writeArpReply } from "../wire/arp.ts";
import { isLanProbe } from "../wire/lan_probe.ts";
import { ND_ADVERTISEMENT_FRAME_BYTES, writeNeighbourAdvertisement } from "../wire/ndp.ts";
import { PacketKind, PacketView, parseEthernet, PROTOCOL } from "../wire/packet.ts";
import { TCP_FLAG } from "../wire/tcp.ts";
import { FRAGMENT_ACCEPT, FRAGMENT_DROP, FragmentTable } from "./fragments.ts";
import { type FlowPlace, FlowTable } from "./flow_table.ts";
import { type DataplanePlan, flowTimeoutsMs, PRESENCE, ServiceTable, VipTable } from "./plan.ts";
import { RateLimit } from "./rate_limit.ts";
import {
  CLAIM,
  CONTESTED,
  EXTRA,
  FRESH,
  ORPHANED,
  RETAINED,
  SharedClaims,
  SharedCounters,
} from "./shared.ts";
import { SYN, SynTable } from "./syn_table.ts";
import { VERDICT } from "./verdicts.ts";
import { moveVirtioHeader, VIRTIO_HEADER_BYTES } from "./virtio.ts";

const SYN_OR_ACK = TCP_FLAG.syn | TCP_FLAG.ack;
/** Whoever finds one of these must ask the kernel whether it has the connection. */
const LOOK_UP = CONTESTED | RETAINED | ORPHANED;
/**
 * Resets for the orphans of a dead node, in a second and at once. Every client of a thousand learns it by its first
 * packet; the clients of many more do by one of the next. More would be a flood that this node sends.
 */
const RESETS_PER_SECOND = 1_000, RESETS_AT_ONCE = 1_000;

/** What a kernel may have of a connection. */
export const HELD = { nothing: 0, halfOpen: 1, connection: 2 } as const;

/** What the pipeline needs from the outside: the kernel, or a test. */
export interface PipelinePorts {
  /** Writes a virtio header and IP packet to the TUN device, from the ring at `offset`. False when refused. */
  injectFromRing(offset: number, length: number): boolean;
  /** The same for a fragment that was held in `FragmentTable.heldBytes`. */
  injectHeld(bytes: Uint8Array<ArrayBuffer>, offset: number, length: number): boolean;
  /** Sends an Ethernet frame out of the interface that the request came in on. */
  reply(frame: Uint8Array): void;
  /** What this kernel has of the TCP connection: one of {@link HELD}. Offsets are into the ring. */
  connection(
    family: number,
    localOffset: number,
    localPort: number,
    remoteOffset: number,
    remotePort: number,
  ): number;
  /** Makes this kernel forget the TCP connection, without a word to the client, if it is half-open. Arguments as above. */
  abandonHalfOpen(
    family: number,
    localOffset: number,
    localPort: number,
    remoteOffset: number,
    remotePort: number,
  ): void;
  /** Milliseconds since boot as a wrapping Int32; read before every accepted packet. */
  now32(): number;
  /** When the frame that is being decided was captured: wall clock, µs. */
  capturedUs(): number;
}

/** One packet thread's decisions. */
export class Pipeline {
  readonly fragments: FragmentTable = new FragmentTable();
  readonly #view = new PacketView();
  readonly #vips: VipTable;
  readonly #services: ServiceTable;
  readonly #flowHash: FlowHash;
  readonly #claims: SharedClaims;
  readonly #slots: Float64Array;
  readonly #probes: Float64Array;
  readonly #plan: DataplanePlan;
  /** Answers to ARP requests and to neighbour solicitations, written over for each. */
  readonly #arpReply = new Uint8Array(ARP_FRAME_BYTES);
  readonly #advertisement = new Uint8Array(ND_ADVERTISEMENT_FRAME_BYTES);
  readonly #acceptUncovered: boolean;
  readonly #flows: FlowTable | undefined;
  readonly #syns = new SynTable();
  readonly #place: FlowPlace = { vip: 0, service: 0, bucket: 0 };
  readonly #resets = new RateLimit(RESETS_PER_SECOND, RESETS_AT_ONCE);
  readonly #release = (offset: number, length: number) => this.#releaseHeld(offset, length);

  /** `bytes` is the ring (or a test's buffer): every offset below points into it. */
  constructor(
    readonly bytes: Uint8Array,
    plan: DataplanePlan,
    readonly ports: PipelinePorts,
  ) {
    this.#vips = new VipTable(plan.vips);
    this.#services = new ServiceTable(plan.services, plan.vips.length);
    this.#flowHash = new FlowHash(plan.flowKey);
    this.#claims = new SharedClaims(plan.claims);
    const counters = new SharedCounters(plan.counters);
    this.#slots = counters.slots;
    this.#probes = counters.probes;
    this.#flows = plan.flows && new FlowTable(plan.flows, flowTimeoutsMs(plan.services));
    this.#plan = plan;
    this.#acceptUncovered = plan.uncovered === "owner";
  }

  /** Decides on the frame of `length` bytes at `offset`, acts on it, and counts it once. Returns its verdict. */
  process(offset: number, length: number): number {
    const verdict = this.#decide(offset, length);
    this.#slots[EXTRA.captured]++;
    this.#slots[verdict]++;
    return verdict;
  }

  /** Counts a frame that did not come whole. */
  countTruncated(): void {
    this.#slots[EXTRA.captured]++;
    this.#slots[VERDICT.truncated]++;
  }

  #decide(offset: number, length: number): number {
    const { bytes } = this;
    const view = this.#view;
    const kind = parseEthernet(bytes, offset, length, view);
    switch (kind) {
      case PacketKind.malformed:
        return VERDICT.malformed;
      case PacketKind.other:
        return VERDICT.foreign;
      case PacketKind.arpRequest:
        return this.#answerArp();
      case PacketKind.ndSolicit:
        return this.#answerSolicitation();
      case PacketKind.arpOther:
        return VERDICT.neighbour_ignored;
    }
    const vip = this.#vips.find(view.family, bytes, view.destinationOffset);
    if (vip < 0) return VERDICT.foreign;
    if (view.isFragment) return this.#decideFragment(kind, vip, offset);
    return this.#decideWhole(kind, vip, offset);
  }

  #decideWhole(kind: number, vip: number, offset: number): number {
    const view = this.#view;
    if (kind === PacketKind.tcp) {
      const service = this.#services.tcp(vip, view.destinationPort);
      if (service === 0) return this.#decideUncovered(offset);
      return this.#decideTcp(vip, service, offset);
    }
    if (kind === PacketKind.udp) {
      if (isLanProbe(this.bytes, view, this.#plan.probePort)) {
        this.#probes[vip]++;
        return VERDICT.lan_probe;
      }
      const service = this.#services.udp(vip, view.destinationPort);
      if (service === 0) return this.#decideUncovered(offset);
      if (this.#flows !== undefined && this.#flows.timeoutsMs[service] > 0) {
        return this.#decideFlow(this.#flows, vip, service, offset);
      }
      const flags = this.#flags(service, view.family, view.sourceOffset, view.sourcePort);
      return (flags & CLAIM) !== 0 ? this.#accept(offset, VERDICT.accepted) : VERDICT.not_owner;
    }
    if (kind === PacketKind.icmpError) return this.#decideIcmpError(vip, offset);
    if (view.protocol === PROTOCOL.icmp || view.protocol === PROTOCOL.icmpv6) {
      return this.#decideByClient(offset);
    }
    return this.#decideUncovered(offset);
  }

  /** The claimant takes everything, unless open connections of this node or another may be in the bucket. */
  #decideTcp(vip: number, service: number, offset: number): number {
    const view = this.#view;
    const flags = this.#flags(service, view.family, view.sourceOffset, view.sourcePort);
    if ((flags & LOOK_UP) === 0) {
      if ((flags & CLAIM) === 0) return VERDICT.not_owner;
      if ((view.tcpFlags & SYN_OR_ACK) === TCP_FLAG.syn) return this.#acceptNewFlow(offset);
      return this.#accept(offset, VERDICT.accepted);
    }
    if ((view.tcpFlags & SYN_OR_ACK) === TCP_FLAG.syn) {
      if ((flags & CLAIM) !== 0) {
        this.#syns.note(this.bytes, view, vip, this.ports.now32());
        return this.#acceptNewFlow(offset);
      }
      if ((flags & RETAINED) !== 0) this.#abandonHalfOpen();
      return VERDICT.not_owner;
    }
    const held = this.ports.connection(
      view.family,
      view.destinationOffset,
      view.destinationPort,
      view.sourceOffset,
      view.sourcePort,
    );
    if (held === HELD.connection) return this.#acceptHeld(offset, flags);
    const syn = this.#syns.judge(this.bytes, view, vip, this.ports.now32());
    const isReset = (view.tcpFlags & TCP_FLAG.rst) !== 0;
    if (held === HELD.halfOpen) {
      // A forged SYN made it so: what the client answers belongs to the connection that another kernel has. A reset ends it.
      return syn === SYN.other && !isReset ? VERDICT.not_held : this.#acceptHeld(offset, flags);
    }
    // The kernel has answered the SYN with a cookie (net/ipv4/syncookies.c), and knows it again by this packet.
    if (syn === SYN.same && (flags & CLAIM) !== 0) return this.#accept(offset, VERDICT.accepted);
    // Perhaps another kernel has it; and what ends a connection that nobody has needs no answer.
    const unanswered = (flags & (CLAIM | CONTESTED)) !== CLAIM || isReset;
    return unanswered ? VERDICT.not_held : this.#acceptOrphan(offset);
  }

  /**
   * A client whose SYN this node answered before the bucket moved asks again, so the answer was lost, and the claimant
   * answers now. If both kernels had the connection half-open, the client's ACK would fit one, and be reset by the other.
   */
  #abandonHalfOpen(): void {
    const view = this.#view;
    this.ports.abandonHalfOpen(
      view.family,
      view.destinationOffset,
      view.destinationPort,
      view.sourceOffset,
      view.sourcePort,
    );
  }

  /**
   * UDP of a service whose flows stay. Nothing tells a new flow from one that another node keeps, so a contested bucket is
   * served by the one node that retains it, new flows included; those are not remembered, so that it comes to an end.
   */
  #decideFlow(flows: FlowTable, vip: number, service: number, offset: number): number {
    const view = this.#view;
    const { sourceOffset, sourcePort, family } = view;
    const affinity = this.#services.affinity[service] as 0 | 1 | 2;
    const bucket = this.#flowHash.bucket(affinity, this.bytes, sourceOffset, family as 4 | 6, sourcePort);
    const flags = this.#flagsOf(service, bucket);
    const verdict = this.#acceptFlow(flags, offset);
    if (verdict !== VERDICT.accepted && verdict !== VERDICT.accepted_held) return verdict;
    const place = this.#place;
    place.vip = vip;
    place.service = service;
    place.bucket = bucket;
    const ports = (sourcePort << 16) | view.destinationPort;
    const isOwn = (flags & CLAIM) !== 0;
    flows.note(this.bytes, sourceOffset, family, ports, place, this.ports.now32(), isOwn);
    return verdict;
  }

  /** Flows that are retained need the lease, unlike connections: no kernel says that nobody else serves them. */
  #acceptFlow(flags: number, offset: number): number {
    if ((flags & RETAINED) !== 0) return this.#accept(offset, VERDICT.accepted_held);
    if ((flags & (CLAIM | CONTESTED)) === CLAIM) return this.#accept(offset, VERDICT.accepted);
    return (flags & CLAIM) !== 0 ? VERDICT.not_held : VERDICT.not_owner;
  }

  /** An ICMP error belongs to the flow quoted in it, seen from the client: its destination is the client. */
  #decideIcmpError(vip: number, offset: number): number {
    const view = this.#view;
    if (this.#vips.find(view.quotedFamily, this.bytes, view.quotedSourceOffset) !== vip) {
      return this.#decideByClient(offset);
    }
    const port = view.quotedSourcePort;
    const service = !view.quotedHasPorts
      ? PRESENCE
      : view.quotedProtocol === PROTOCOL.tcp
      ? this.#services.tcp(vip, port)
      : view.quotedProtocol === PROTOCOL.udp
      ? this.#services.udp(vip, port)
      : PRESENCE;
    if (service === PRESENCE) return this.#decideByQuotedClient(offset);
    const flags = this.#flags(
      service,
      view.quotedFamily,
      view.quotedDestinationOffset,
      view.quotedDestinationPort,
    );
    if ((flags & (CONTESTED | RETAINED)) !== 0 && view.quotedProtocol === PROTOCOL.tcp) {
      const held = this.ports.connection(
        view.quotedFamily,
        view.quotedSourceOffset,
        port,
        view.quotedDestinationOffset,
        view.quotedDestinationPort,
      );
      return held !== HELD.nothing ? this.#acceptHeld(offset, flags) : VERDICT.not_held;
    }
    if ((this.#flows?.timeoutsMs[service] ?? 0) > 0) return this.#acceptFlow(flags, offset);
    return (flags & CLAIM) !== 0 ? this.#accept(offset, VERDICT.accepted) : VERDICT.not_owner;
  }

  #decideUncovered(offset: number): number {
    return this.#acceptUncovered ? this.#decideByClient(offset) : VERDICT.uncovered;
  }

  /** By the client's address alone: ICMP echo, and what no service covers. */
  #decideByClient(offset: number): number {
    return this.#decideByAddress(this.#view.sourceOffset, this.#view.family, offset);
  }

  #decideByQuotedClient(offset: number): number {
    return this.#decideByAddress(
      this.#view.quotedDestinationOffset,
      this.#view.quotedFamily,
      offset,
    );
  }

  #decideByAddress(addressOffset: number, family: number, offset: number): number {
    const bucket = this.#flowHash.bucket(AFFINITY.client, this.bytes, addressOffset, family as 4 | 6, 0);
    return (this.#flagsOf(PRESENCE, bucket) & CLAIM) !== 0
      ? this.#accept(offset, VERDICT.accepted)
      : VERDICT.not_owner;
  }

  /** The first fragment decides like a whole packet; the others follow it, or wait for it. */
  #decideFragment(kind: number, vip: number, offset: number): number {
    const view = this.#view;
    const { fragments, ports } = this;
    const now32 = ports.now32();
    const addressBytes = view.family === 4 ? 4 : 16;
    fragments.select(
      this.bytes,
      view.sourceOffset,
      view.destinationOffset,
      addressBytes,
      view.fragmentProtocol,
      view.fragmentId,
    );
    if (view.fragmentOffset === 0) {
      const verdict = this.#decideWhole(kind, vip, offset);
      fragments.decide(
        verdict === VERDICT.accepted || verdict === VERDICT.accepted_held,
        now32,
        this.#release,
      );
      return verdict;
    }
    const decision = fragments.decision(now32);
    if (decision === FRAGMENT_ACCEPT) return this.#accept(offset, VERDICT.accepted);
    if (decision === FRAGMENT_DROP) return VERDICT.not_owner;
    const start = moveVirtioHeader(this.bytes, offset);
    const held = fragments.hold(this.bytes, start, view.totalLength + VIRTIO_HEADER_BYTES, now32);
    return held ? VERDICT.fragment_held : VERDICT.fragment_dropped;
  }

  #releaseHeld(offset: number, length: number): void {
    if (!this.ports.injectHeld(this.fragments.heldBytes, offset, length)) return;
    this.#slots[EXTRA.fragments_released]++;
    this.#slots[EXTRA.injected_bytes] += length - VIRTIO_HEADER_BYTES;
  }

  #flags(service: number, family: number, addressOffset: number, port: number): number {
    const affinity = this.#services.affinity[service] as 0 | 1 | 2;
    const bucket = this.#flowHash.bucket(affinity, this.bytes, addressOffset, family as 4 | 6, port);
    return this.#flagsOf(service, bucket);
  }

  /**
   * What this node may do with the frame's bucket. A claim counts for frames that were captured after it began: one
   * that waited in the ring meanwhile has perhaps been answered by the former claimant.
   */
  #flagsOf(table: number, bucket: number): number {
    const flags = this.#claims.tables[table][bucket];
    if ((flags & FRESH) === 0) return flags;
    return this.#claims.isBeforeGain(this.ports.capturedUs()) ? flags & ~CLAIM : flags;
  }

  #acceptNewFlow(offset: number): number {
    const verdict = this.#accept(offset, VERDICT.accepted);
    if (verdict === VERDICT.accepted) this.#slots[EXTRA.new_flows]++;
    return verdict;
  }

  /**
   * A packet of a connection that this kernel has. In a retained bucket it needs no lease: no other kernel has that
   * connection, whoever may claim the bucket (membership/README.md), and a node that joins has connections to keep.
   */
  #acceptHeld(offset: number, flags: number): number {
    return (flags & RETAINED) !== 0
      ? this.#inject(offset, VERDICT.accepted_held)
      : this.#accept(offset, VERDICT.accepted_held);
  }

  #accept(offset: number, verdict: number): number {
    return this.#holds(this.ports.now32()) ? this.#inject(offset, verdict) : VERDICT.no_lease;
  }

  /**
   * Whether claims hold, and held when the frame was captured. The lease is read against the clock for each packet, after
   * the claim: a node that was paused between the two finds its lease over, or begun anew, and stays silent.
   */
  #holds(now32: number): boolean {
    return this.#claims.leaseHolds(now32) && !this.#claims.isBeforeHold(this.ports.capturedUs());
  }

  /** No living kernel has this connection: ours answers with a reset, and the client learns it at once. */
  #acceptOrphan(offset: number): number {
    const now32 = this.ports.now32();
    if (!this.#holds(now32)) return VERDICT.no_lease;
    return this.#resets.take(now32) ? this.#inject(offset, VERDICT.orphan) : VERDICT.orphan_limited;
  }

  #inject(offset: number, verdict: number): number {
    const start = moveVirtioHeader(this.bytes, offset);
    const packetBytes = this.#view.totalLength; // without Ethernet padding
    if (!this.ports.injectFromRing(start, packetBytes + VIRTIO_HEADER_BYTES)) return VERDICT.inject_failed;
    this.#slots[EXTRA.injected_bytes] += packetBytes;
    return verdict;
  }

  /** An ARP request is answered by the one node that claims the requester's bucket. */
  #answerArp(): number {
    const view = this.#view;
    const vip = this.#vips.find(4, this.bytes, view.arpTargetIpOffset);
    if (vip < 0) return VERDICT.foreign;
    // An announcement (RFC 5227 section 1.1) asks nothing.
    if (this.#vips.find(4, this.bytes, view.arpSenderIpOffset) === vip) return VERDICT.neighbour_ignored;
    const verdict = this.#mayAnswer(view.arpSenderIpOffset, 4);
    if (verdict !== VERDICT.neighbour_answered) return verdict;
    const { interfaceMac, vips } = this.#plan;
    writeArpReply(this.#arpReply, this.bytes, view, interfaceMac, vips[vip].mac);
    this.ports.reply(this.#arpReply);
    return verdict;
  }

  /** The same for a neighbour solicitation. Duplicate address detection is answered too: the address is taken. */
  #answerSolicitation(): number {
    const view = this.#view;
    const vip = this.#vips.find(6, this.bytes, view.ndTargetOffset);
    if (vip < 0) return VERDICT.foreign;
    const verdict = this.#mayAnswer(view.sourceOffset, 6);
    if (verdict !== VERDICT.neighbour_answered) return verdict;
    const { interfaceMac, vips } = this.#plan;
    const written = writeNeighbourAdvertisement(
      this.#advertisement,
      this.bytes,
      view,
      interfaceMac,
      vips[vip].mac,
    );
    if (written === 0) return VERDICT.neighbour_ignored;
    this.ports.reply(this.#advertisement);
    return verdict;
  }

  #mayAnswer(askerOffset: number, family: 4 | 6): number {
    const bucket = this.#flowHash.bucket(AFFINITY.client, this.bytes, askerOffset, family, 0);
    if ((this.#flagsOf(PRESENCE, bucket) & CLAIM) === 0) return VERDICT.neighbour_not_owner;
    return this.#holds(this.ports.now32()) ? VERDICT.neighbour_answered : VERDICT.no_lease;
  }
}
