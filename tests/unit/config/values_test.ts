import assert from "node:assert/strict";
import fc from "fast-check";
import { parseAddress } from "../../../src/core/address.ts";
import {
  formatDuration,
  formatPorts,
  isPortRange,
  isUnicast,
  parseDurationMs,
  parseListen,
  parsePorts,
} from "../../../src/config/values.ts";

Deno.test("durations read in milliseconds", () => {
  const cases: Array<[string, number | undefined]> = [
    ["100ms", 100],
    ["0s", 0],
    ["1.5s", 1_500],
    ["0.001s", 1],
    ["2m", 120_000],
    ["1h", 3_600_000],
    ["1.001m", 60_060],
    ["0.5ms", undefined],
    ["100", undefined],
    ["-1s", undefined],
    ["1 s", undefined],
    ["1d", undefined],
    ["1e3s", undefined],
    ["s", undefined],
    ["", undefined],
  ];
  for (const [text, expected] of cases) assert.equal(parseDurationMs(text), expected, text);
});

Deno.test("a written duration reads as what it was", () => {
  fc.assert(fc.property(fc.nat(100_000_000), (ms) => assert.equal(parseDurationMs(formatDuration(ms)), ms)));
});

Deno.test("ports read as ranges", () => {
  assert.deepEqual(parsePorts(80), { from: 80, to: 80 });
  assert.deepEqual(parsePorts("80"), { from: 80, to: 80 });
  assert.deepEqual(parsePorts("8000-8100"), { from: 8000, to: 8100 });
  for (const text of ["", "-80", "80-", "8-9-10", "http", "1:2", "+80", "0x50", " 80"]) {
    assert.equal(parsePorts(text), undefined, text);
  }
  assert.equal(parsePorts(80.5), undefined);
  assert.ok(isPortRange({ from: 1, to: 65_535 }));
  for (const range of [{ from: 0, to: 1 }, { from: 2, to: 1 }, { from: 1, to: 65_536 }]) {
    assert.ok(!isPortRange(range));
  }
  assert.equal(formatPorts({ from: 1, to: 2 }), "1-2");
});

Deno.test("places to listen on", () => {
  assert.deepEqual(parseListen("127.0.0.1:9010"), { host: "127.0.0.1", port: 9010 });
  assert.deepEqual(parseListen("[::1]:9010"), { host: "::1", port: 9010 });
  assert.deepEqual(parseListen("localhost:80"), { host: "127.0.0.1", port: 80 });
  for (
    const text of [
      "9010",
      ":9010",
      "::1:9010",
      "127.0.0.1",
      "127.0.0.1:0",
      "127.0.0.1:65536",
      "[1.2.3.4]:80",
      "a:1",
    ]
  ) {
    assert.equal(parseListen(text), undefined, text);
  }
});

Deno.test("an address that one host can have", () => {
  const unicast = (text: string) => {
    const address = parseAddress(text);
    assert.ok(address, text);
    return isUnicast(address);
  };
  for (
    const text of ["192.0.2.1", "10.0.0.1", "169.254.1.1", "2001:db8::1", "fe80::1", "fd00::1", "::1:0:0:0:1"]
  ) {
    assert.ok(unicast(text), text);
  }
  for (
    const text of [
      "0.0.0.0",
      "127.0.0.1",
      "224.0.0.1",
      "240.0.0.1",
      "255.255.255.255",
      "::",
      "::1",
      "ff02::1",
    ]
  ) assert.ok(!unicast(text), text);
  for (const text of ["::ffff:192.0.2.1", "::192.0.2.1"]) assert.ok(!unicast(text), text);
});
