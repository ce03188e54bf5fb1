import assert from "node:assert/strict";
import { EXIT, VipfarmError } from "../../../src/core/errors.ts";

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
