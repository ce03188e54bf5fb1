import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { deriveKeys } from "../../../src/core/keys.ts";

Deno.test("keys are those of RFC 5869, different for each purpose, farm and secret", () => {
  const secret = Uint8Array.from({ length: 32 }, (_, i) => i);
  const keys = deriveKeys(secret, "web");
  // HKDF written out for one block: extract with the salt, then expand with info || 1.
  const pseudorandom = createHmac("sha256", "vipfarm").update(secret).digest();
  const expand = (info: string) => createHmac("sha256", pseudorandom).update(info).update("\x01").digest();
  assert.deepEqual([...keys.heartbeatKey], [...expand("heartbeat:web")]);
  assert.deepEqual([...keys.headerKey], [...expand("header:web").subarray(0, 16)]);
  assert.deepEqual([...keys.flowKey], [...expand("flow:web").subarray(0, 16)]);
  assert.deepEqual([...keys.rendezvousKey], [...expand("rendezvous:web")]);
  assert.deepEqual([...keys.farmTag], [...expand("tag:web").subarray(0, 4)]);
  assert.notDeepEqual(deriveKeys(secret, "mail").flowKey, keys.flowKey);
  assert.notDeepEqual(deriveKeys(secret.map((byte) => byte ^ 1), "web").flowKey, keys.flowKey);
  assert.throws(() => deriveKeys(secret.subarray(1), "web"), /at least 32 bytes \(31 bytes\)/);
});
