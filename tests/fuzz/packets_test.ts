/**
 * Random and mutated frames: the parser never throws, never reads outside the frame, and what it reports lies
 * within it. A short run with a fixed seed by default; VIPFARM_FUZZ_SECONDS=600 runs that long with a seed that
 * is printed, VIPFARM_FUZZ_SEED repeats one.
 */

import assert from "node:assert/strict";
import { writeArpReply } from "../../src/wire/arp.ts";
import { writeNeighbourAdvertisement } from "../../src/wire/ndp.ts";
import {
  PACKET_KIND_NAMES,
  PacketKind,
  PacketView,
  parseEthernet,
  parseIp,
  PROTOCOL,
} from "../../src/wire/packet.ts";
import { guarded, NODE_MAC } from "../unit/wire/frames.ts";
import vectors from "../vectors/packets.json" with { type: "json" };

const SHORT_RUN_FRAMES = 60_000;
const FRAME_BYTES_MAX = 400;
const AT = 33;

const seconds = Number(Deno.env.get("VIPFARM_FUZZ_SECONDS") ?? "0");
const seed = Number(
  Deno.env.get("VIPFARM_FUZZ_SEED") ?? (seconds > 0 ? Math.floor(Math.random() * 2 ** 32) : 4886),
);
const corpus = vectors.map(({ hex }) => Uint8Array.fromHex(hex).subarray(0, FRAME_BYTES_MAX));

/** A small seeded generator (xorshift, 32 bits): the quality does not matter, the repeatability does. */
function random(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function makeFrame(next: (below: number) => number): Uint8Array {
  if (next(10) === 0) return Uint8Array.from({ length: next(FRAME_BYTES_MAX) }, () => next(256));
  const base = corpus[next(corpus.length)];
  const frame = base.slice(0, next(3) === 0 ? next(base.length + 1) : base.length);
  for (let changes = next(6); changes > 0 && frame.length > 0; changes--) {
    // Mostly in the headers; small, extreme and arbitrary values.
    const at = next(2) === 0 ? next(frame.length) : next(Math.min(frame.length, 80));
    frame[at] = [0, 1, 0xff, frame[at] ^ 1 << next(8), next(256)][next(5)];
  }
  if (next(4) === 0) repairLength(frame);
  return frame;
}

/** Makes the IP length fit, so that changes further inside are reached. */
function repairLength(frame: Uint8Array): void {
  const four = frame[14] >> 4 === 4;
  if (frame.length < (four ? 34 : 54)) return;
  const [at, length] = four ? [16, frame.length - 14] : [18, frame.length - 54];
  frame[at] = length >> 8;
  frame[at + 1] = length;
}

function assertInside(view: PacketView, end: number, name: string): void {
  const { kind } = view;
  const inside = (at: number, length: number) => assert.ok(at >= AT && at + length <= end, name);
  if (kind === PacketKind.arpRequest || kind === PacketKind.arpOther) {
    inside(view.arpSenderMacOffset, 6);
    inside(view.arpSenderIpOffset, 4);
    inside(view.arpTargetIpOffset, 4);
  }
  if (kind < PacketKind.ndSolicit) return;
  const addressBytes = view.family === 4 ? 4 : 16;
  inside(view.ipOffset, view.totalLength);
  inside(view.sourceOffset, addressBytes);
  inside(view.destinationOffset, addressBytes);
  inside(view.transportOffset, 0);
  if (kind === PacketKind.tcp) inside(view.transportOffset, 20);
  if (kind === PacketKind.udp || kind === PacketKind.icmpEcho) inside(view.transportOffset, 8);
  if (kind === PacketKind.fragmentRest) assert.ok(view.isFragment && view.fragmentOffset > 0, name);
  if (kind === PacketKind.icmpError) {
    inside(view.quotedSourceOffset, addressBytes);
    inside(view.quotedDestinationOffset, addressBytes);
    if (view.quotedHasPorts) {
      assert.ok(view.quotedProtocol === PROTOCOL.tcp || view.quotedProtocol === PROTOCOL.udp, name);
    }
  }
  if (kind === PacketKind.ndSolicit) {
    inside(view.ndTargetOffset, 16);
    if (view.ndSourceLinkOffset >= 0) inside(view.ndSourceLinkOffset, 6);
  }
}

Deno.test(`fuzz: hostile frames are read within their bounds (seed ${seed})`, () => {
  const next = random(seed);
  const view = new PacketView();
  const reply = new Uint8Array(100);
  const kinds = new Array<number>(PACKET_KIND_NAMES.length).fill(0);
  const endMs = performance.now() + seconds * 1000;
  for (let count = 0; seconds > 0 ? performance.now() < endMs : count < SHORT_RUN_FRAMES; count++) {
    const frame = makeFrame(next);
    const bytes = new Uint8Array(AT + frame.length + 64).fill(count & 1 ? 0xff : 0);
    bytes.set(frame, AT);
    const watched = guarded(bytes, AT, frame.length);
    const name = `frame ${count}: ${frame.toHex()}`;
    try {
      kinds[parseEthernet(watched, AT, frame.length, view)]++;
      assertInside(view, AT + frame.length, name);
      if (view.kind === PacketKind.arpRequest) writeArpReply(reply, watched, view, NODE_MAC, NODE_MAC);
      if (view.kind === PacketKind.ndSolicit) {
        writeNeighbourAdvertisement(reply, watched, view, NODE_MAC, NODE_MAC);
      }
      parseIp(watched, AT, frame.length, view);
      assertInside(view, AT + frame.length, name);
    } catch (cause) {
      throw new Error(name, { cause });
    }
  }
  // Each kind was reached: otherwise the run would prove little.
  kinds.forEach((count, kind) => assert.ok(count > 0, `no frame came out as ${PACKET_KIND_NAMES[kind]}`));
});
