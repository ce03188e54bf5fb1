import assert from "node:assert/strict";
import fc from "fast-check";
import { composeReport, type OwnReport, parseReport } from "../../../src/control/report.ts";
import { REPORT_BYTES_MAX } from "../../../src/wire/heartbeat.ts";

const own: OwnReport = {
  version: "0.1.0",
  state: "up",
  reason: "started 3 s ago",
  application: true,
  claimed: [0.33333333, 0],
  retained: 12,
  flows_per_s: 12.345,
  packets_per_s: 99.99,
  lateness_ms: 0.04,
  digest: "0123456789abcdef0123",
  down: [{ check: "web", reason: "connection refused" }],
};

Deno.test("a report comes back as it was, rounded", () => {
  assert.deepEqual(parseReport(composeReport(own)), {
    v: 1,
    version: "0.1.0",
    state: "up",
    reason: "started 3 s ago",
    application: true,
    claimed: [0.3333, 0],
    retained: 12,
    flows_per_s: 12.3,
    packets_per_s: 100,
    lateness_ms: 0,
    digest: "0123456789abcdef",
    down: [{ check: "web", reason: "connection refused" }],
  });
});

Deno.test("whatever a report is made of, it fits, and can be read", () => {
  const anyText = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 500 }),
    fc.string({ unit: "binary", maxLength: 500 }),
    fc.string({ unit: fc.constantFrom("\u0001", "\ud800", '"', "€"), minLength: 12, maxLength: 500 }),
  );
  const name = fc.oneof(
    fc.string({ minLength: 1, maxLength: 63, unit: fc.constantFrom("a", "-", "9") }),
    fc.constant("c".repeat(63)),
  );
  const number = fc.double({ min: 0, max: 1e9, noNaN: true });
  fc.assert(fc.property(
    fc.record({
      version: fc.constant("0.1.0+0123456789abcdef"),
      state: fc.constantFrom("up", "draining"),
      reason: anyText,
      claimed: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 32 }),
      connections: fc.option(fc.nat(), { nil: undefined }),
      retained: fc.nat(),
      flows_per_s: number,
      packets_per_s: number,
      lateness_ms: number,
      digest: fc.string({ unit: fc.constantFrom("0", "f"), minLength: 64, maxLength: 64 }),
      down: fc.array(fc.record({ check: name, reason: anyText }), { maxLength: 9 }),
    }),
    (report) => {
      const composed = composeReport(report);
      assert.ok(new TextEncoder().encode(composed).length <= REPORT_BYTES_MAX, composed);
      assert.ok(composed.isWellFormed());
      assert.equal(parseReport(composed)?.retained, report.retained);
    },
  ));
});

Deno.test("the longest report fits: no failed check and no reason is worth a report that nobody gets", () => {
  const reason = "\u0001€".repeat(200);
  const composed = composeReport({
    version: "€".repeat(63),
    state: "failed",
    reason,
    claimed: Array.from({ length: 32 }, () => 0.12345),
    connections: 4_000_000_000,
    retained: 4_000_000_000,
    flows_per_s: 123_456_789.1,
    packets_per_s: 123_456_789.1,
    lateness_ms: 123_456_789.1,
    digest: "f".repeat(64),
    down: Array.from({ length: 9 }, () => ({ check: "c".repeat(63), reason })),
  });
  assert.ok(new TextEncoder().encode(composed).length <= REPORT_BYTES_MAX, composed);
  assert.equal(parseReport(composed)?.state, "failed");
});

Deno.test("reasons of several lines travel as one", () => {
  const composed = composeReport({ ...own, reason: "first\n\tsecond\u0000", down: [] });
  assert.equal(parseReport(composed)?.reason, "first second ");
  assert.equal(parseReport(composed)?.down, undefined);
});

Deno.test("what is no report is none; unknown keys are left out", () => {
  for (
    const text of [
      "",
      "{",
      "[]",
      "null",
      '{"v":2}',
      composeReport(own).replace('"retained":12', '"retained":-1'),
    ]
  ) {
    assert.equal(parseReport(text), undefined, text);
  }
  const more = { ...JSON.parse(composeReport(own)), later: [1] };
  assert.ok(!("later" in parseReport(JSON.stringify(more))!));
});
