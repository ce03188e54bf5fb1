import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { addressFromBytes, inNetwork, parseAddress, sameAddress } from "../../../src/core/address.ts";
import { ManualClock } from "../../../src/core/clock.ts";
import { EXIT, VipfarmError } from "../../../src/core/errors.ts";
import { isEventKind } from "../../../src/core/events.ts";
import { deriveKeys } from "../../../src/core/keys.ts";
import { BUCKET_MASK, BUCKETS } from "../../../src/core/limits.ts";

const address = (text: string) => parseAddress(text) ?? assert.fail(`not an address: ${text}`);

Deno.test("an error says what was tried, what went wrong and with which value", () => {
  const cause = new Error("underneath");
  const error = new VipfarmError({
    operation: "open interface",
    problem: "no such interface",
    value: "eth9",
    remedy: "Name one that `ip link` lists.",
    exitCode: EXIT.usage,
    cause,
  });
  assert.equal(error.message, "open interface: no such interface (eth9)");
  assert.equal(error.remedy, "Name one that `ip link` lists.");
  assert.equal(error.exitCode, 2);
  assert.equal(error.cause, cause);
  assert.equal(error.name, "VipfarmError");
  assert.ok(error instanceof Error);
});

Deno.test("an error without value or code has no empty brackets, no cause, and exit code 1", () => {
  const error = new VipfarmError({ operation: "a", problem: "b" });
  assert.equal(error.message, "a: b");
  assert.equal(error.exitCode, 1);
  assert.equal("cause" in error, false);
});

Deno.test("the number of buckets is a power of two", () => {
  assert.equal(BUCKETS & BUCKET_MASK, 0);
  assert.equal(BUCKETS, 65_536);
});

Deno.test("addresses get one canonical text (RFC 5952)", () => {
  const texts: [string, string][] = [
    ["192.0.2.100", "192.0.2.100"],
    ["0.0.0.0", "0.0.0.0"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["::", "::"],
    ["::1", "::1"],
    ["fe80::", "fe80::"],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.1"],
    ["::ffff:c000:201", "::ffff:192.0.2.1"],
  ];
  for (const [written, canonical] of texts) assert.equal(address(written).text, canonical);
  assert.deepEqual([...address("192.0.2.100").bytes], [192, 0, 2, 100]);
});

Deno.test("what is not plainly an address is refused", () => {
  const texts = ["", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "0x7f.0.0.1", "010.0.0.1", "192.0.2.1/24"];
  texts.push("fe80::1%eth0", "::/0", ":::", "1::2::3", "g::", "[::1]", "1.2.3.4:80", " 1.2.3.4", "1.2.3.4 ");
  for (const text of texts) assert.equal(parseAddress(text), undefined, text);
});

Deno.test("every address survives text and back", () => {
  const size = fc.constantFrom(4, 16);
  // Many zero bytes, so that runs of zero groups are common.
  const byte = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 255 }));
  const bytes = size.chain((n) => fc.array(byte, { minLength: n, maxLength: n }));
  fc.assert(fc.property(bytes, (raw) => {
    const value = addressFromBytes(Uint8Array.from(raw));
    const again = address(value.text);
    assert.deepEqual([...again.bytes], raw);
    assert.equal(again.text, value.text);
    assert.ok(sameAddress(value, again));
  }));
});

Deno.test("an address of another length is refused, and bytes are copied", () => {
  assert.throws(() => addressFromBytes(new Uint8Array(5)), /4 or 16 bytes \(5 bytes\)/);
  const bytes = Uint8Array.of(1, 2, 3, 4);
  const value = addressFromBytes(bytes);
  bytes[0] = 9;
  assert.equal(value.bytes[0], 1);
});

Deno.test("membership of a network looks at the prefix only", () => {
  assert.ok(inNetwork(address("192.0.2.200"), address("192.0.2.129"), 25));
  assert.ok(!inNetwork(address("192.0.2.100"), address("192.0.2.129"), 25));
  assert.ok(inNetwork(address("10.1.2.3"), address("0.0.0.0"), 0));
  assert.ok(inNetwork(address("10.1.2.3"), address("10.1.2.3"), 32));
  assert.ok(!inNetwork(address("10.1.2.2"), address("10.1.2.3"), 32));
  assert.ok(inNetwork(address("2001:db8:0:7fff::1"), address("2001:db8::"), 49));
  assert.ok(!inNetwork(address("2001:db8:0:8000::1"), address("2001:db8::"), 49));
  assert.ok(!inNetwork(address("::1"), address("0.0.0.0"), 0));
  assert.ok(!sameAddress(address("::ffff:1.2.3.4"), address("1.2.3.4")));
  assert.throws(() => inNetwork(address("1.2.3.4"), address("1.2.3.4"), 33), /0 to 32 \(1\.2\.3\.4\/33\)/);
});

Deno.test("keys are those of RFC 5869, different for each purpose, farm and secret", () => {
  const secret = Uint8Array.from({ length: 32 }, (_, i) => i);
  const keys = deriveKeys(secret, "web");
  // HKDF written out for one block: extract with the salt, then expand with info || 1.
  const pseudorandom = createHmac("sha256", "vipfarm").update(secret).digest();
  const expand = (info: string) => createHmac("sha256", pseudorandom).update(info).update("\x01").digest();
  assert.deepEqual([...keys.heartbeatKey], [...expand("heartbeat:web")]);
  assert.deepEqual([...keys.headerKey], [...expand("header:web").subarray(0, 16)]);
  assert.deepEqual([...keys.flowKey], [...expand("flow:web").subarray(0, 16)]);
  assert.deepEqual([...keys.rendezvousKey], [...expand("rendezvous:web")]);
  assert.deepEqual([...keys.farmTag], [...expand("tag:web").subarray(0, 4)]);
  assert.notDeepEqual(deriveKeys(secret, "mail").flowKey, keys.flowKey);
  assert.notDeepEqual(deriveKeys(secret.map((byte) => byte ^ 1), "web").flowKey, keys.flowKey);
  assert.throws(() => deriveKeys(secret.subarray(1), "web"), /at least 32 bytes \(31 bytes\)/);
});

Deno.test("a manual clock moves only when told, and only forward", () => {
  const clock = new ManualClock(5);
  clock.advance(0.25);
  assert.equal(clock.nowMs(), 5.25);
  assert.throws(() => clock.advance(-1), RangeError);
  assert.throws(() => clock.advance(NaN), RangeError);
});

Deno.test("event kinds are dotted and lower case", () => {
  for (const kind of ["member.joined", "host.sysctl.changed"]) assert.ok(isEventKind(kind), kind);
  for (const kind of ["member", "Member.joined", "member.", ".joined", "member joined"]) {
    assert.ok(!isEventKind(kind), kind);
  }
});
