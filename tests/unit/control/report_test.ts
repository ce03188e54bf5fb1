import assert from "node:assert/strict";
import fc from "fast-check";
import { composeReport, type OwnReport, parseReport } from "../../../src/control/report.ts";
import { REPORT_BYTES_MAX } from "../../../src/wire/heartbeat.ts";

const own: OwnReport = {
  version: "0.1.0",
  state: "up",
  reason: "started 3 s ago",
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
  const anyText = fc.string({ unit: "grapheme", maxLength: 500 });
  const name = fc.string({ minLength: 1, maxLength: 63, unit: fc.constantFrom("a", "-", "9") });
  const number = fc.double({ min: 0, max: 1e9, noNaN: true });
  fc.assert(fc.property(
    fc.record({
      version: fc.constant("0.1.0+0123456789abcdef"),
      state: fc.constantFrom("up", "draining"),
      reason: anyText,
      claimed: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 32 }),
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
