import assert from "node:assert/strict";
import fc from "fast-check";
import { dnsQuestion, readDnsAnswer } from "../../../src/health/dns_message.ts";

/** An answer to the question, with records made of a pointer to its name (RFC 1035 section 4.1.4). */
function answer(
  question: Uint8Array,
  code: number,
  records: Array<[type: number, data: number[]]>,
): Uint8Array {
  const made = [...question];
  made[2] |= 0x80;
  made[3] = code;
  made[7] = records.length;
  for (const [type, data] of records) {
    made.push(0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, data.length, ...data);
  }
  return Uint8Array.from(made);
}

const question = dnsQuestion(0x1234, "www.example.com", "A");

Deno.test("a question is what RFC 1035 says", () => {
  assert.equal(
    question.toHex(),
    "123401000001000000000000" + "03777777076578616d706c6503636f6d00" + "00010001",
  );
  assert.deepEqual(dnsQuestion(1, "a.", "AAAA").slice(12), Uint8Array.of(1, 97, 0, 0, 28, 0, 1));
});

Deno.test("addresses of the type asked for are taken from the answer, through aliases", () => {
  const records: Array<[number, number[]]> = [[5, [1, 97, 0]], [1, [192, 0, 2, 7]], [28, Array(16).fill(0)], [
    1,
    [192, 0, 2, 8],
  ]];
  assert.deepEqual(readDnsAnswer(answer(question, 0, records), 0x1234, "A"), {
    addresses: ["192.0.2.7", "192.0.2.8"],
  });
  assert.deepEqual(readDnsAnswer(answer(question, 0, records), 0x1234, "AAAA"), { addresses: ["::"] });
});

Deno.test("a failure is told in words, and an answer to another question is none", () => {
  assert.equal(
    readDnsAnswer(answer(question, 3, []), 0x1234, "A")?.failure,
    "there is no such name (NXDOMAIN)",
  );
  assert.equal(readDnsAnswer(answer(question, 2, []), 0x1234, "A")?.failure, "the server failed (SERVFAIL)");
  assert.equal(readDnsAnswer(answer(question, 0, []), 0x4321, "A"), undefined);
  assert.equal(readDnsAnswer(question, 0x1234, "A"), undefined);
});

Deno.test("an answer that breaks off, and any bytes, are read without harm", () => {
  const whole = answer(question, 0, [[1, [192, 0, 2, 7]]]);
  for (let length = 0; length < whole.length; length++) {
    assert.equal(readDnsAnswer(whole.subarray(0, length), 0x1234, "A"), undefined, `${length} bytes`);
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (rest) => {
    readDnsAnswer(Uint8Array.from([0x12, 0x34, 0x80, 0, ...rest]), 0x1234, "A");
  }));
});
