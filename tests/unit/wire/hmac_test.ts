import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { HmacSha256 } from "../../../src/wire/hmac.ts";

const bytes = (hex: string) => Uint8Array.fromHex(hex);
const text = (value: string) => new TextEncoder().encode(value);

/** RFC 4231, those test cases whose keys are no longer than a block. */
const VECTORS = [
  {
    key: bytes("0b".repeat(20)),
    message: text("Hi There"),
    code: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
  },
  {
    key: text("Jefe"),
    message: text("what do ya want for nothing?"),
    code: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  },
  {
    key: bytes("aa".repeat(20)),
    message: bytes("dd".repeat(50)),
    code: "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
  },
];

Deno.test("HMAC-SHA-256 agrees with RFC 4231", () => {
  for (const { key, message, code } of VECTORS) {
    assert.equal(new HmacSha256(key, 100).digest(message).toHex(), code);
  }
});

Deno.test("HMAC-SHA-256 agrees with node:crypto, whatever was hashed before", () => {
  const key = crypto.getRandomValues(new Uint8Array(32));
  const hmac = new HmacSha256(key, 300);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (message) => {
    const expected = createHmac("sha256", key).update(message).digest("hex");
    assert.equal(hmac.digest(message).toHex(), expected);
  }));
});

Deno.test("HMAC-SHA-256 refuses a key and a message that do not fit", () => {
  assert.throws(() => new HmacSha256(new Uint8Array(65), 10), RangeError);
  assert.throws(() => new HmacSha256(new Uint8Array(32), 10).digest(new Uint8Array(11)), RangeError);
});
