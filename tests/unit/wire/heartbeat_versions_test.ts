/** Nodes of neighbouring versions in one farm: what a later version may do, so that this one still understands it. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { deriveKeys } from "../../../src/core/keys.ts";
import { SipHasher } from "../../../src/ownership/siphash.ts";
import {
  type Heartbeat,
  HEARTBEAT_HEADER_BYTES,
  HEARTBEAT_HMAC_BYTES,
  HeartbeatCodec,
  type Order,
} from "../../../src/wire/heartbeat.ts";

const KEYS = deriveKeys(Uint8Array.from({ length: 32 }, (_, i) => i), "web");
const ACCEPTING = { judge: () => "fresh" as const };
/** Where the header check stands, over all before it. */
const AT_VERSION = 2, AT_LENGTH = 8, AT_CHECK = 32;

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
function rewrite(change: (body: Uint8Array) => Uint8Array, versionsLater = 0): Uint8Array {
  const bytes = codec().encode(MESSAGE);
  const body = change(bytes.slice(HEARTBEAT_HEADER_BYTES, bytes.length - HEARTBEAT_HMAC_BYTES));
  const out = new Uint8Array(HEARTBEAT_HEADER_BYTES + body.length + HEARTBEAT_HMAC_BYTES);
  out.set(bytes.subarray(0, HEARTBEAT_HEADER_BYTES));
  out.set(body, HEARTBEAT_HEADER_BYTES);
  const view = new DataView(out.buffer);
  out[AT_VERSION] += versionsLater;
  view.setUint16(AT_LENGTH, out.length);
  const hash = new SipHasher(KEYS.headerKey);
  hash.hash(out, 0, AT_CHECK);
  view.setInt32(AT_CHECK, hash.high);
  view.setInt32(AT_CHECK + 4, hash.low);
  const end = out.length - HEARTBEAT_HMAC_BYTES;
  const mac = createHmac("sha256", KEYS.heartbeatKey).update(out.subarray(0, end)).digest();
  out.set(mac.subarray(0, HEARTBEAT_HMAC_BYTES), end);
  return out;
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
