import assert from "node:assert/strict";
import fc from "fast-check";
import { ANSWER_BYTES_MAX, readAnswer } from "../../../src/health/http_answer.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (body: Uint8Array) => new TextDecoder().decode(body);

function read(answer: string, atEnd = true, method = "GET") {
  const found = readAnswer(bytes(answer), atEnd, method);
  return typeof found === "object" ? { ...found, body: text(found.body) } : found;
}

Deno.test("status and body by announced length, by chunks, and up to the end", () => {
  assert.deepEqual(read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more", false), {
    status: 200,
    body: "hello",
    complete: true,
  });
  assert.deepEqual(
    read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", false),
    {
      status: 200,
      body: "hello",
      complete: true,
    },
  );
  assert.deepEqual(read("HTTP/1.0 503 No\r\n\r\nhello", false), {
    status: 503,
    body: "hello",
    complete: false,
  });
  assert.deepEqual(read("HTTP/1.0 503 No\r\n\r\nhello"), { status: 503, body: "hello", complete: true });
  assert.deepEqual(read("HTTP/1.1 200\n\nlines end as they like"), {
    status: 200,
    body: "lines end as they like",
    complete: true,
  });
});

Deno.test("interim answers are passed over, and answers without a body have none", () => {
  assert.deepEqual(read("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", false), {
    status: 204,
    body: "",
    complete: true,
  });
  assert.deepEqual(read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, "HEAD"), {
    status: 200,
    body: "",
    complete: true,
  });
});

Deno.test("what is no answer is told as soon as it is known", () => {
  assert.equal(read("SSH-2.0-OpenSSH_9.2p1\r\n", false), "what answers does not speak HTTP/1");
  assert.equal(read("", true), "what answers does not speak HTTP/1");
  assert.equal(read("HTT", false), undefined);
  assert.equal(read("HTTP/1.1 200 OK\r\nServer: x", false), undefined);
  assert.equal(read(`HTTP/1.1 200 OK\r\nX: ${"y".repeat(20_000)}`, false), "the headers are too long");
});

Deno.test("an answer in any portions reads as the whole does, and its body is bounded", () => {
  const body = "0123456789".repeat(10_000);
  const whole = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${
    body.match(/.{1,700}/g)!.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("")
  }0\r\n\r\n`;
  const kept = bytes(whole).subarray(0, ANSWER_BYTES_MAX);
  const answer = readAnswer(kept, false, "GET");
  assert.ok(typeof answer === "object" && answer.complete);
  assert.equal(text(answer.body), body.slice(0, 65_536));
  fc.assert(fc.property(fc.nat(kept.length), (length) => {
    const part = readAnswer(kept.subarray(0, length), false, "GET");
    if (typeof part === "object") assert.ok(body.startsWith(text(part.body)));
    else assert.equal(part, undefined);
  }));
});

Deno.test("any bytes are read without harm", () => {
  const beginnings = fc.constantFrom(
    "",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
  );
  fc.assert(
    fc.property(beginnings, fc.uint8Array({ maxLength: 300 }), fc.boolean(), (beginning, rest, atEnd) => {
      const answer = readAnswer(new Uint8Array([...bytes(beginning), ...rest]), atEnd, "GET");
      if (typeof answer === "object") assert.ok(answer.body.length <= rest.length);
    }),
  );
});
