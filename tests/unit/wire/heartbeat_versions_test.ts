/** Nodes of neighbouring versions in one farm: what a later version may do, so that this one still understands it. */
import assert from "node:assert/strict";
import { deriveKeys } from "../../../src/core/keys.ts";
import { SipHasher } from "../../../src/ownership/siphash.ts";
import {
  type Heartbeat,
  HeartbeatCodec,
  type Order,
  PROTOCOL_VERSION,
  type ReplayGuard,
} from "../../../src/wire/heartbeat.ts";
import { sealed, type SealKeys } from "./sealed.ts";

const KEYS = deriveKeys(Uint8Array.from({ length: 32 }, (_, i) => i), "web");
const ACCEPTING = { judge: () => "fresh" as const };

const order = (verb: Order["verb"], id: string): Order => ({
  id: id.repeat(16),
  target: "n1",
  verb,
  value: 0,
  issuedBy: "n2",
});
const MESSAGE: Heartbeat = {
  sender: "n2",
  incarnation: 1_800_000_000_000,
  sequence: 7,
  intervalMs: 100,
  state: "up",
  binding: true,
  settingsVersion: 2,
  weights: [1, 100],
  servicesDigest: 1,
  wallClockMs: 1_800_000_000_700,
  vipFramesSeen: 5,
  vipReach: { reached: 1, unreached: 2 },
  holdMs: 0,
  heard: [],
  retained: [],
  holds: [],
  orders: [order("drain", "a"), order("reload", "b")],
  answers: [{ id: "c".repeat(16), code: "done", text: "fine" }],
  report: '{"v":1}',
};

function codec(): HeartbeatCodec {
  return new HeartbeatCodec({ ...KEYS, headerHash: new SipHasher(KEYS.headerKey) });
}

/** The message with another body, as a program that knows the secret sends it. */
function rewrite(
  change: (body: Uint8Array) => Uint8Array,
  versionsLater = 0,
  keys: SealKeys = KEYS,
): Uint8Array {
  return sealed(codec().encode(MESSAGE), keys, change, versionsLater);
}

Deno.test("fields that a later version appends are passed over", () => {
  const appended = rewrite((body) => Uint8Array.of(...body, 1, 2, 3, 255));
  assert.deepEqual(codec().decode(appended, ACCEPTING), MESSAGE);
});

Deno.test("an order that this version does not know is left out, the others are heard", () => {
  // The verb of "drain" is 0, behind its id and its target.
  const id = new Uint8Array(8).fill(0xaa);
  const changed = rewrite((body) => {
    const at = body.findIndex((_, i) => id.every((byte, j) => body[i + j] === byte));
    body[at + id.length + 1 + "n1".length] = 200;
    return body;
  });
  const read = codec().decode(changed, ACCEPTING) as Heartbeat;
  assert.deepEqual(read, { ...MESSAGE, orders: [order("reload", "b")] });
});

Deno.test("another protocol version is refused by that name, not as a forgery", () => {
  assert.equal(codec().decode(rewrite((body) => body, 1), ACCEPTING), "version");
});

Deno.test("a body that ends early is malformed, whatever the version", () => {
  assert.equal(codec().decode(rewrite((body) => body.slice(0, -1)), ACCEPTING), "malformed");
});

/** Behind the name, interval, state, flags, version of settings, digest and clock. */
const BEGINNING_BYTES = 1 + "n2".length + 2 + 1 + 1 + 4 + 4 + 6;

Deno.test("of another protocol version the common beginning is read, whatever follows it", () => {
  for (const versionsLater of [1, -1]) {
    const other = rewrite(
      (body) => Uint8Array.of(...body.slice(0, BEGINNING_BYTES), 255, 255),
      versionsLater,
    );
    const { sender, incarnation, sequence, intervalMs, state, binding, wallClockMs } = MESSAGE;
    const { settingsVersion, servicesDigest } = MESSAGE;
    assert.deepEqual(codec().decodeOtherVersion(other, ACCEPTING), {
      sender,
      incarnation,
      sequence,
      intervalMs,
      state,
      binding,
      wallClockMs,
      settingsVersion,
      servicesDigest,
      version: PROTOCOL_VERSION + versionsLater,
      ownVersion: PROTOCOL_VERSION,
    });
  }
});

Deno.test("of another protocol version nothing is believed that a stranger can send", () => {
  const other = rewrite((body) => body, 1);
  const read = (bytes: Uint8Array, guard: ReplayGuard = ACCEPTING) =>
    codec().decodeOtherVersion(bytes, guard);
  assert.notEqual(read(other), undefined);
  const strange = deriveKeys(new Uint8Array(32), "web");
  assert.equal(read(rewrite((body) => body, 1, strange)), undefined, "without the secret");
  assert.equal(read(rewrite((body) => body, 1, { ...strange, headerKey: KEYS.headerKey })), undefined);
  for (let at = 3; at < other.length; at++) {
    const changed = other.slice();
    changed[at] ^= 1;
    assert.equal(read(changed), undefined, `with byte ${at} changed`);
  }
  for (let length = 56; length < other.length; length++) {
    assert.equal(read(other.slice(0, length)), undefined);
  }
  assert.equal(read(other, { judge: () => "replayed" }), undefined);
  assert.equal(read(rewrite((body) => body.slice(0, BEGINNING_BYTES - 1), 1)), undefined);
  const named = rewrite((body) => Uint8Array.of(2, ...new TextEncoder().encode("n3"), ...body.slice(3)), 1);
  assert.equal(read(named), undefined, "with another name than its header says");
});
