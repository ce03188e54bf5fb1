import assert from "node:assert/strict";
import { waitFor } from "../../../src/lab/wait.ts";

Deno.test("waiting gives the first truthy value", async () => {
  let looks = 0;
  assert.equal(await waitFor(() => ++looks === 3 && "there", 1000, "the third look"), "there");
  assert.equal(looks, 3);
});

Deno.test("a condition that throws counts as not yet", async () => {
  let looks = 0;
  const value = await waitFor(
    () => {
      if (++looks < 3) throw new Error("not yet");
      return looks;
    },
    1000,
    "three looks",
  );
  assert.equal(value, 3);
});

Deno.test("the time-out says what was waited for and why it did not come", async () => {
  await assert.rejects(
    waitFor(() => Promise.reject(new Error("n2 is silent")), 20, "n2 to speak"),
    /wait for n2 to speak: it did not happen in time \(20 ms; last: n2 is silent\)/,
  );
});
