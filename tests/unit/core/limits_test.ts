import assert from "node:assert/strict";
import { BUCKET_MASK, BUCKETS } from "../../../src/core/limits.ts";

Deno.test("the number of buckets is a power of two", () => {
  assert.equal(BUCKETS & BUCKET_MASK, 0);
  assert.equal(BUCKETS, 65_536);
});
