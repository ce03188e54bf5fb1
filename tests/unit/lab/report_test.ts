import assert from "node:assert/strict";
import { Report, wrap } from "../../../src/lab/report.ts";

Deno.test("text breaks between words and never inside one", () => {
  assert.deepEqual(wrap("one two three", 7), ["one two", "three"]);
  assert.deepEqual(wrap("unbreakable", 4), ["unbreakable"]);
});

Deno.test("steps are numbered, checks are counted, numbers stand right", () => {
  const printed: string[] = [];
  const report = new Report(false, (line) => printed.push(line));
  report.step("First", "What it is about.");
  report.check(true, "it holds");
  report.check(false, "it does not");
  report.table(["node", "share"], [["n1", "5.0 %"], ["n10", "95.0 %"]]);
  report.step("Second", "More.");
  assert.deepEqual(printed, [
    "",
    "1. First",
    "   What it is about.",
    "   ✓ it holds",
    "   ✗ it does not",
    "     node    share",
    "     n1      5.0 %",
    "     n10    95.0 %",
    "",
    "2. Second",
    "   More.",
  ]);
  assert.deepEqual([report.checks, report.failures], [2, 1]);
});
