import assert from "node:assert/strict";
import fc from "fast-check";
import { addressFromBytes, inNetwork, parseAddress, sameAddress } from "../../../src/core/address.ts";

const address = (text: string) => parseAddress(text) ?? assert.fail(`not an address: ${text}`);

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
