import assert from "node:assert/strict";
import { decodeMessage, encodeMessage } from "../../../src/supervisor/messages.ts";

Deno.test("messages between the processes keep bytes and infinities, one line each", () => {
  const message = {
    say: "hello" as const,
    form: 1,
    version: "0.1.0",
    plan: { interfaces: [{ name: "eth0", virtualIps: ["192.0.2.1", "2001:db8::1"] }] },
    goodbye: {
      node: "n1\n",
      keys: {
        farmTag: new Uint8Array([1, 2, 3, 4]),
        headerKey: new Uint8Array(16).fill(255),
        heartbeatKey: new Uint8Array(0),
      },
      intervalMs: -Infinity,
      servicesDigest: 7,
      port: Infinity,
      networks: [],
    },
  };
  const line = encodeMessage(message);
  assert.equal(line.indexOf("\n"), line.length - 1);
  assert.deepEqual(decodeMessage(line), message);
});
