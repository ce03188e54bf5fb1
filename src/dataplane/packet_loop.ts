/**
 * The packet thread's loop: ring to pipeline to TUN, until asked to stop. It sweeps the ring until that is empty, then
 * sleeps in poll(2). What the kernel gives and takes goes through here; the decisions are the pipeline's.
 */
import { boottimeMs, boottimeMs32 } from "../../ffi/clock.ts";
import { EventFd } from "../../ffi/eventfd.ts";
import { GroupMembership } from "../../ffi/group_membership.ts";
import {
  FRAME_BYTES_ORDINARY,
  PacketSocket,
  TP2_LEN,
  TP2_MAC,
  TP2_NSEC,
  TP2_SEC,
  TP2_SNAPLEN,
  TP_STATUS_COPY,
  TP_STATUS_KERNEL,
  TP_STATUS_USER,
} from "../../ffi/packet_socket.ts";
import { POLLIN, PollSet } from "../../ffi/poll.ts";
import { setTimerSlackNs } from "../../ffi/scheduling.ts";
import { SockDiag, TCP_STATE } from "../../ffi/sock_diag.ts";
import { TunDevice } from "../../ffi/tun.ts";
import { solicitedNodeAddress, solicitedNodeMac } from "../wire/ethernet.ts";
import { addressFromBytes } from "../core/address.ts";
import { messageOf } from "../core/errors.ts";
import { captureFilter } from "./capture_filter.ts";
import { FrameGate } from "./frame_gate.ts";
import { HELD, Pipeline, type PipelinePorts } from "./pipeline.ts";
import { type DataplanePlan } from "./plan.ts";
import { EXTRA, SharedClaims, SharedCounters } from "./shared.ts";

/**
 * Longest sleep without a packet: how soon held fragments are given up and ring drops are read. Shorter than the interval of
 * reports to the supervisor, which sees by the sweeps that the thread lives.
 */
const SLEEP_MS_MAX = 500;
/** Frames decided between two looks at the stop word, so that a flood cannot keep the thread from ending. */
const FRAMES_PER_SWEEP = 256;
/** Between two probes of the LAN. */
const PROBE_INTERVAL_MS = 1_000;
/** For GSO packets and jumbo frames that wait: at least three hundred of 64 KB, whatever pages the kernel has them in. */
const LONG_BYTES = 32 << 20;

/**
 * Runs one packet thread; `started` is called once frames are captured, with the reason if the kernel refused the
 * prefilter for this socket. Returns when a stop was requested.
 */
export function runPacketLoop(plan: DataplanePlan, started: (refused?: string) => void): void {
  using socket = openSocket(plan);
  const refused = attachPrefilter(socket, plan);
  using _groups = joinSolicitedNodeGroups(plan);
  using tun = TunDevice.adopt(plan.tunDescriptor, plan.tunName);
  using wake = EventFd.adopt(plan.wakeDescriptor);
  using diag = SockDiag.open();
  setTimerSlackNs(1);
  const claims = new SharedClaims(plan.claims);
  const counters = new SharedCounters(plan.counters);
  const ring = new RingReader(socket);
  const pipeline = new Pipeline(socket.ring, plan, kernelPorts(socket, ring, tun, diag));
  const poll = new PollSet([{ fd: socket.fd, events: POLLIN }, { fd: wake.fd, events: POLLIN }]);
  const pollWake = new PollSet([{ fd: wake.fd, events: POLLIN }]);
  const gate = new FrameGate(claims);

  counters.setRunState(1);
  started(refused);
  let statisticsAt = boottimeMs32(), probedAt = statisticsAt;
  while (!claims.stopRequested) {
    const passes = gate.passes(boottimeMs());
    if (passes === "later") {
      counters.noteSweep();
      pollWake.wait(SLEEP_MS_MAX);
      wake.read();
      continue;
    }
    const emptied = ring.sweep(FRAMES_PER_SWEEP, pipeline, passes);
    counters.noteSweep();
    if (emptied && gate.isOver(boottimeMs())) break;
    const now32 = boottimeMs32();
    if (pipeline.fragments.heldCount > 0) pipeline.fragments.expire(now32);
    counters.slots[EXTRA.fragments_expired] += pipeline.fragments.takeExpired();
    if (((now32 - statisticsAt) | 0) >= SLEEP_MS_MAX) {
      statisticsAt = now32;
      counters.slots[EXTRA.ring_drops] = socket.statistics().drops;
    }
    if (((now32 - probedAt) | 0) >= PROBE_INTERVAL_MS) {
      probedAt = now32;
      for (const probe of plan.probes) sendIfPossible(socket, probe);
    }
    if (!emptied) continue;
    counters.slots[EXTRA.sleeps]++;
    poll.wait(claims.window === "upToCut" ? 1 : SLEEP_MS_MAX);
    if (poll.ready(1)) wake.read();
    // An interface that went down reports itself once; frames come again when it is up.
    if (poll.ready(0) && (poll.revents(0) & POLLIN) === 0) socket.takeError();
  }
  counters.setRunState(2);
}

/** Reads frames in ring order and gives each back to the kernel once it is decided. */
class RingReader {
  readonly #words: Uint32Array;
  #frame = 0;

  constructor(readonly socket: PacketSocket) {
    this.#words = new Uint32Array(socket.ring.buffer);
  }

  /** When the frame under decision was captured (tpacket_rcv: CLOCK_REALTIME), in µs. */
  capturedUs(): number {
    const word = (this.#frame * this.socket.frameStride) >>> 2;
    return this.#words[word + (TP2_SEC >> 2)] * 1e6 + this.#words[word + (TP2_NSEC >> 2)] / 1e3;
  }

  /** Decides at most `limit` frames, those of them that `passes` lets through. True when the ring is empty. */
  sweep(limit: number, pipeline: Pipeline, passes?: (capturedUs: number) => boolean): boolean {
    const { status, frameStride, frameCount, ring } = this.socket;
    const words = this.#words;
    for (let decided = 0; decided < limit; decided++) {
      const start = this.#frame * frameStride;
      const word = start >>> 2;
      const flags = Atomics.load(status, word);
      if ((flags & TP_STATUS_USER) === 0) return true;
      const length = words[word + (TP2_LEN >> 2)];
      // Taken also when another process decides on it: the next one is the next frame's.
      const isLong = (flags & TP_STATUS_COPY) !== 0 && this.socket.takeLong() === length;
      if (passes !== undefined && !passes(this.capturedUs())) {
        // Another process of this node decides it, and counts it.
      } else if (isLong) {
        pipeline.process(this.socket.longOffset, length);
      } else if (words[word + (TP2_SNAPLEN >> 2)] < length) {
        pipeline.countTruncated();
      } else {
        const mac = ring[start + TP2_MAC] | (ring[start + TP2_MAC + 1] << 8);
        pipeline.process(start + mac, length);
      }
      Atomics.store(status, word, TP_STATUS_KERNEL);
      this.#frame = this.#frame + 1 === frameCount ? 0 : this.#frame + 1;
    }
    return false;
  }
}

/** Switches that snoop MLD deliver solicitations for the virtual IPs only to who has asked for their groups. */
function joinSolicitedNodeGroups({ interfaceIndex, vips }: DataplanePlan): DisposableStack {
  const groups = new DisposableStack();
  for (const { address } of vips) {
    if (address.length !== 16) continue;
    try {
      groups.use(GroupMembership.join(interfaceIndex, solicitedNodeAddress(addressFromBytes(address))));
    } catch {
      // Without IPv6 on the interface there is no MLD; the frames still come where nobody snoops.
    }
  }
  return groups;
}

function openSocket(plan: DataplanePlan): PacketSocket {
  return PacketSocket.open({
    interfaceIndex: plan.interfaceIndex,
    frameCount: plan.ringFrames,
    frameBytes: FRAME_BYTES_ORDINARY,
    longBytes: LONG_BYTES,
    filter: captureFilter(plan.vips),
    memberships: plan.vips.flatMap(({ address, mac, macIsMulticast }) => [
      { kind: macIsMulticast ? "multicast" as const : "unicast" as const, mac },
      // Solicitations for the virtual IP go to its solicited-node group, which the kernel joins on no interface here.
      ...(address.length === 16
        ? [{ kind: "multicast" as const, mac: solicitedNodeMac(addressFromBytes(address)) }]
        : []),
    ]),
  });
}

/** Puts the prefilter in the place of the capture filter, which stays where the kernel refuses; then tells why. */
function attachPrefilter(socket: PacketSocket, { prefilterDescriptor }: DataplanePlan): string | undefined {
  if (prefilterDescriptor === undefined) return undefined;
  try {
    socket.setProgram(prefilterDescriptor);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function sendIfPossible(socket: PacketSocket, frame: Uint8Array): void {
  try {
    socket.send(frame);
  } catch {
    // A full queue or an interface that is down. An asker asks again, as it would after a lost answer; a probe is repeated.
  }
}

/** The pipeline's ports on the real kernel. */
function kernelPorts(
  socket: PacketSocket,
  reader: RingReader,
  tun: TunDevice,
  diag: SockDiag,
): PipelinePorts {
  const { ring, baseAddress } = socket;
  return {
    injectFromRing: (offset, length) => tun.writeAt(baseAddress + offset, length) === length,
    injectHeld: (bytes, offset, length) =>
      tun.write(bytes.subarray(offset, offset + length), length) === length,
    reply: (frame) => sendIfPossible(socket, frame),
    connection(family, localOffset, localPort, remoteOffset, remotePort) {
      try {
        const state = diag.tcpState(family as 4 | 6, ring, localOffset, localPort, remoteOffset, remotePort);
        if (state === TCP_STATE.none) return HELD.nothing;
        return state === TCP_STATE.synReceived ? HELD.halfOpen : HELD.connection;
      } catch {
        // The kernel had no memory for the answer: the packet is lost, as it may be anywhere, and comes again.
        return HELD.nothing;
      }
    },
    abandonHalfOpen(family, localOffset, localPort, remoteOffset, remotePort) {
      try {
        diag.abandonHalfOpen(family as 4 | 6, ring, localOffset, localPort, remoteOffset, remotePort);
      } catch {
        // A kernel that cannot do it (CONFIG_INET_DIAG_DESTROY) resets this one client, which connects again.
      }
    },
    now32: boottimeMs32,
    capturedUs: () => reader.capturedUs(),
  };
}
