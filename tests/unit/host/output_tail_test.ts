import assert from "node:assert/strict";
import fc from "fast-check";
import { LINE_LENGTH_MAX, LINES_KEPT_MAX, OutputTail } from "../../../src/host/output_tail.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function tailOf(...parts: Uint8Array[]): string[] {
  const lines: string[] = [];
  const tail = new OutputTail(lines);
  for (const part of parts) tail.push(part);
  tail.end();
  return lines;
}

Deno.test("the last lines are kept, wherever the portions end", () => {
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[a-zé✓]{1,20}$/u), { maxLength: 60 }),
      fc.nat(),
      (lines, cut) => {
        const whole = bytes(lines.join("\n"));
        const at = whole.length === 0 ? 0 : cut % whole.length;
        assert.deepEqual(tailOf(whole.subarray(0, at), whole.subarray(at)), lines.slice(-LINES_KEPT_MAX));
      },
    ),
  );
});

Deno.test("a line without an end takes no more room than any other", () => {
  const portion = bytes("x".repeat(65_536));
  const [line, ...rest] = tailOf(...Array.from({ length: 100 }, () => portion));
  assert.equal(line, "x".repeat(LINE_LENGTH_MAX) + "…");
  assert.deepEqual(rest, []);
});

Deno.test("colours, control characters and empty lines are left out", () => {
  assert.deepEqual(tailOf(bytes("\u001b[31mred\u001b[0m\r\n\n  \n\u0007bell\tand tab\n")), [
    "red",
    "bell\tand tab",
  ]);
});
