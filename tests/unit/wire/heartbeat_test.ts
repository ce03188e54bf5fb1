import assert from "node:assert/strict";
import fc from "fast-check";
import { HEARTBEAT_BYTES_MAX, MEMBERS_MAX, SERVICES_MAX } from "../../../src/core/limits.ts";
import { deriveKeys } from "../../../src/core/keys.ts";
import { ReplayWindow } from "../../../src/membership/replay.ts";
import { SipHasher } from "../../../src/ownership/siphash.ts";
import {
  ANSWERS_MAX,
  type Heartbeat,
  HeartbeatCodec,
  ORDERS_MAX,
  type ReplayGuard,
  REPORT_BYTES_MAX,
  RETAINED_BITMAP_BYTES,
} from "../../../src/wire/heartbeat.ts";
import { ANSWER_TEXT_BYTES_MAX } from "../../../src/wire/heartbeat_body.ts";

const SECRET = Uint8Array.from({ length: 32 }, (_, i) => i);

function codec(farm = "web", secret = SECRET): HeartbeatCodec {
  const keys = deriveKeys(secret, farm);
  return new HeartbeatCodec({ ...keys, headerHash: new SipHasher(keys.headerKey) });
}

const accepting: ReplayGuard = { judge: () => "fresh" };

const SMALL: Heartbeat = {
  sender: "n1",
  incarnation: 1_800_000_000_000,
  sequence: 7,
  intervalMs: 100,
  state: "up",
  binding: true,
  settingsVersion: 2,
  weights: [1, 100],
  servicesDigest: 0xdeadbeef,
  wallClockMs: 1_800_000_000_700,
  vipFramesSeen: 5_000_000_000,
  vipReach: { reached: 0x8000_0001, unreached: 2 },
  holdMs: 0,
  heard: [{ name: "n2", incarnation: 1_800_000_000_001, settingsVersion: 3, status: "suspect", echo: 77 }],
  retained: [],
  holds: [],
  orders: [],
  answers: [],
};

const name = fc.stringMatching(/^[A-Za-z0-9._-]{1,63}$/);
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const uint48 = fc.maxSafeInteger().map((value) => Math.abs(value) % 2 ** 48);
const weight = fc.integer({ min: 0, max: 1000 });
const tableWeight = fc.oneof(weight, fc.integer({ min: 0x8001, max: 0x8000 + 1000 }));
const orderId = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((id) => id.toString(16).padStart(16, "0"));
/** Plain objects: deepEqual compares prototypes. */
const record: typeof fc.record =
  ((model: Record<string, fc.Arbitrary<unknown>>) =>
    fc.record(model, { noNullPrototype: true })) as typeof fc.record;
const heartbeat: fc.Arbitrary<Heartbeat> = record({
  sender: name,
  incarnation: uint48,
  sequence: uint48,
  intervalMs: fc.integer({ min: 5, max: 60_000 }),
  state: fc.constantFrom("joining", "up", "draining", "leaving", "left"),
  binding: fc.boolean(),
  settingsVersion: uint32,
  weights: fc.array(tableWeight, { maxLength: SERVICES_MAX + 1 }),
  servicesDigest: uint32,
  wallClockMs: uint48,
  vipFramesSeen: uint48,
  vipReach: record({ reached: uint32, unreached: uint32 }),
  holdMs: fc.integer({ min: 0, max: 60_000 }),
  heard: fc.array(
    record({
      name,
      incarnation: uint48,
      settingsVersion: uint32,
      status: fc.constantFrom("heard", "suspect", "remembered"),
      echo: uint32,
    }),
    { maxLength: MEMBERS_MAX },
  ),
  retained: fc.array(
    record({
      table: fc.integer({ min: 0, max: SERVICES_MAX }),
      bitmap: fc.uint8Array({ minLength: RETAINED_BITMAP_BYTES, maxLength: RETAINED_BITMAP_BYTES }),
    }),
    { maxLength: SERVICES_MAX + 1 },
  ),
  holds: fc.array(record({ name, incarnation: uint48, leftMs: fc.integer({ min: 0, max: 60_000 }) }), {
    maxLength: MEMBERS_MAX,
  }),
  orders: fc.array(
    record({
      id: orderId,
      target: name,
      verb: fc.constantFrom("drain", "resume", "weight", "start", "stop", "restart", "reload"),
      value: fc.integer({ min: 0, max: 1000 }),
      issuedBy: name,
    }),
    { maxLength: ORDERS_MAX },
  ),
  answers: fc.array(
    record({
      id: orderId,
      code: fc.constantFrom("done", "refused", "failed"),
      text: fc.stringMatching(/^[ -~]{0,64}$/),
    }),
    { maxLength: ANSWERS_MAX },
  ),
  report: fc.string({ minLength: 1, maxLength: 300, unit: "grapheme-composite" }).filter((text) =>
    new TextEncoder().encode(text).length <= REPORT_BYTES_MAX && text.isWellFormed() &&
    !text.startsWith("\ufeff")
  ),
}) as fc.Arbitrary<Heartbeat>;

Deno.test("a heartbeat reads back as it was written", () => {
  const one = codec();
  fc.assert(fc.property(heartbeat, (message) => {
    assert.deepEqual(one.decode(one.encode(message), accepting), message);
  }));
});

Deno.test("the bytes of a heartbeat are these", () => {
  const bytes = codec().encode(SMALL);
  const hex = (from: number, to: number) => bytes.subarray(from, to).toHex();
  assert.equal(hex(0, 4), "56460300", "magic, version, flags");
  assert.equal(hex(4, 8), deriveKeys(SECRET, "web").farmTag.toHex(), "farm tag");
  assert.equal(hex(8, 10), bytes.length.toString(16).padStart(4, "0"), "length");
  assert.equal(hex(10, 16), (1_800_000_000_000).toString(16).padStart(12, "0"), "incarnation");
  assert.equal(hex(16, 24), "0000000000070000", "sequence, reserved");
  assert.equal(
    hex(40, bytes.length - 16),
    [
      "026e31", // sender
      "0064", // interval
      "01", // up
      "01", // binding
      "00000002", // settings version
      "deadbeef", // services digest
      (1_800_000_000_700).toString(16).padStart(12, "0"), // wall clock
      (5_000_000_000).toString(16).padStart(12, "0"), // frames seen
      "80000001" + "00000002", // reached and unreached by virtual IP
      "0000", // hold
      "0200010064", // weights
      "01" + "026e32" + (1_800_000_000_001).toString(16).padStart(12, "0") + "00000003" + "01" + "0000004d", // heard
      "00", // retained
      "00", // holds
      "00", // orders
      "00", // answers
      "0000", // report
    ].join(""),
  );
});

Deno.test("all lists at their bounds fit into one heartbeat", () => {
  const longest = "n".repeat(63);
  const fill = <T>(length: number, value: T): T[] => Array.from({ length }, () => value);
  const message: Heartbeat = {
    ...SMALL,
    sender: longest,
    weights: fill(SERVICES_MAX + 1, 1000),
    heard: fill(MEMBERS_MAX, { name: longest, incarnation: 1, settingsVersion: 1, status: "heard", echo: 1 }),
    retained: fill(SERVICES_MAX + 1, { table: 1, bitmap: new Uint8Array(RETAINED_BITMAP_BYTES).fill(255) }),
    orders: fill(ORDERS_MAX, {
      id: "0123456789abcdef",
      target: longest,
      verb: "weight",
      value: 1000,
      issuedBy: longest,
    }),
    answers: fill(ANSWERS_MAX, {
      id: "0123456789abcdef",
      code: "done",
      text: "t".repeat(ANSWER_TEXT_BYTES_MAX),
    }),
    holds: fill(MEMBERS_MAX, { name: longest, incarnation: 1, leftMs: 60_000 }),
    report: "r".repeat(REPORT_BYTES_MAX),
  };
  const bytes = codec().encode(message);
  assert.ok(bytes.length <= HEARTBEAT_BYTES_MAX, `${bytes.length} bytes`);
  assert.deepEqual(codec().decode(bytes, accepting), message);
});

Deno.test("one changed bit is refused, wherever it is", () => {
  const one = codec();
  const bytes = one.encode(SMALL);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const forged = bytes.slice();
    forged[bit >> 3] ^= 1 << (bit & 7);
    assert.equal(typeof one.decode(forged, accepting), "string", `bit ${bit}`);
  }
});

Deno.test("a truncated or lengthened heartbeat is refused", () => {
  const one = codec();
  const bytes = one.encode(SMALL);
  for (let length = 0; length < bytes.length; length++) {
    const reason = one.decode(bytes.subarray(0, length), accepting);
    assert.equal(reason, length < 56 ? "short" : "length");
  }
  const longer = new Uint8Array(bytes.length + 1);
  longer.set(bytes);
  assert.equal(one.decode(longer, accepting), "length");
});

Deno.test("reasons: magic, version, foreign farm, header check, hmac", () => {
  const one = codec();
  const change = (at: number, value: number) => {
    const bytes = one.encode(SMALL);
    bytes[at] = value;
    return one.decode(bytes, accepting);
  };
  assert.equal(change(0, 0), "magic");
  assert.equal(change(2, 9), "version");
  assert.equal(change(4, one.encode(SMALL)[4] ^ 1), "foreignFarm");
  assert.equal(change(21, 8), "headerCheck", "a forged sequence does not even reach the replay window");
  assert.equal(change(50, 255), "hmac");
  assert.equal(codec("other").decode(one.encode(SMALL), accepting), "foreignFarm");
  // The same farm tag under another secret: the header check refuses it.
  const other = codec("web", SECRET.map((byte) => byte ^ 1)).encode(SMALL);
  other.set(deriveKeys(SECRET, "web").farmTag, 4);
  assert.equal(one.decode(other, accepting), "headerCheck");
});

Deno.test("whoever knows the secret but writes nonsense is malformed", () => {
  const one = codec();
  const liar = codec();
  liar.identify = () => new SipHasher(new Uint8Array(16)); // leaves a wrong identity in the header
  assert.equal(one.decode(liar.encode(SMALL), accepting), "malformed");
});

Deno.test("a heartbeat counts once, and never after a later one", () => {
  const one = codec();
  const replay = new ReplayWindow();
  const take = (message: Heartbeat) => {
    const result = one.decode(one.encode(message), replay);
    if (typeof result === "string") return result;
    replay.accept(one, result);
    return "taken";
  };
  assert.equal(take(SMALL), "taken");
  assert.equal(take(SMALL), "duplicate");
  assert.equal(take({ ...SMALL, sequence: 6 }), "replayed");
  assert.equal(take({ ...SMALL, sequence: 9 }), "taken");
  assert.equal(take({ ...SMALL, sequence: 8 }), "replayed");
  assert.equal(take({ ...SMALL, incarnation: SMALL.incarnation - 1, sequence: 99 }), "replayed");
  assert.equal(take({ ...SMALL, incarnation: SMALL.incarnation + 1, sequence: 1 }), "taken");
  assert.equal(take({ ...SMALL, sender: "n2", sequence: 1 }), "taken", "each sender has its own window");
  const old = one.encode({ ...SMALL, sequence: 100 });
  assert.deepEqual(replay.lost(), { [SMALL.sender]: 9 - SMALL.sequence - 1, n2: 0 });
  const next = new ReplayWindow();
  next.restore(replay.save());
  assert.deepEqual(next.lost(), replay.lost(), "the next process goes on counting");
  assert.deepEqual(replay.staleSender(old)?.incarnation, SMALL.incarnation + 1);
  assert.equal(replay.staleSender(one.encode({ ...SMALL, sender: "n2", sequence: 0 })), undefined);
});

Deno.test("random bytes never throw and never pass", () => {
  const one = codec();
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    assert.equal(typeof one.decode(bytes, accepting), "string");
  }));
});

Deno.test("random bodies with a right authentication never throw", async () => {
  // Worse than any attacker: who holds the keys writes a body of random bytes.
  const keys = deriveKeys(SECRET, "web");
  const one = codec();
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (body) => {
      const bytes = new Uint8Array(40 + body.length + 16);
      bytes.set(one.encode(SMALL).subarray(0, 32));
      bytes.set(body, 40);
      new DataView(bytes.buffer).setUint16(8, bytes.length);
      const hash = new SipHasher(keys.headerKey);
      hash.hash(bytes, 0, 32);
      new DataView(bytes.buffer).setInt32(32, hash.high);
      new DataView(bytes.buffer).setInt32(36, hash.low);
      const key = await crypto.subtle.importKey(
        "raw",
        keys.heartbeatKey.slice(),
        {
          name: "HMAC",
          hash: "SHA-256",
        },
        false,
        ["sign"],
      );
      const mac = await crypto.subtle.sign("HMAC", key, bytes.slice(0, -16));
      bytes.set(new Uint8Array(mac).subarray(0, 16), bytes.length - 16);
      assert.equal(one.decode(bytes, accepting), "malformed");
    }),
  );
});

Deno.test("a value that does not fit is refused where it is written", () => {
  const one = codec();
  for (
    const wrong of [
      { sender: "no spaces" },
      { weights: [1001] },
      { weights: [0x8000] },
      { settingsVersion: -1 },
      { incarnation: 1.5 },
      { orders: [{ id: "1", target: "n2", verb: "drain", value: 0, issuedBy: "n1" }] },
    ] as const
  ) {
    assert.throws(() => one.encode({ ...SMALL, ...wrong }), /write heartbeat/);
  }
});

Deno.test("an answer is cut between characters", () => {
  const one = codec();
  const text = "x".repeat(63) + "é";
  const message = one.decode(
    one.encode({ ...SMALL, answers: [{ id: "0123456789abcdef", code: "failed", text }] }),
    accepting,
  );
  assert.ok(typeof message !== "string");
  assert.equal(message.answers[0].text, "x".repeat(63));
});
