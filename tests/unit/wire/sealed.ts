/** Heartbeats as a program that knows the secret, but is of another version, would send them. */
import { createHmac } from "node:crypto";
import type { FarmKeys } from "../../../src/core/keys.ts";
import { SipHasher } from "../../../src/ownership/siphash.ts";
import { HEARTBEAT_HEADER_BYTES, HEARTBEAT_HMAC_BYTES } from "../../../src/wire/heartbeat.ts";

/** Where the header check stands, over all before it. */
const AT_VERSION = 2, AT_LENGTH = 8, AT_CHECK = 32;

/** What a heartbeat is sealed with. */
export type SealKeys = Pick<FarmKeys, "headerKey" | "heartbeatKey">;

/** The heartbeat with another body and protocol version, its header check and authentication code made anew. */
export function sealed(
  heartbeat: Uint8Array,
  keys: SealKeys,
  change: (body: Uint8Array) => Uint8Array,
  versionsLater = 0,
): Uint8Array<ArrayBuffer> {
  const body = change(heartbeat.slice(HEARTBEAT_HEADER_BYTES, heartbeat.length - HEARTBEAT_HMAC_BYTES));
  const out = new Uint8Array(HEARTBEAT_HEADER_BYTES + body.length + HEARTBEAT_HMAC_BYTES);
  out.set(heartbeat.subarray(0, HEARTBEAT_HEADER_BYTES));
  out.set(body, HEARTBEAT_HEADER_BYTES);
  const view = new DataView(out.buffer);
  out[AT_VERSION] += versionsLater;
  view.setUint16(AT_LENGTH, out.length);
  const hash = new SipHasher(keys.headerKey);
  hash.hash(out, 0, AT_CHECK);
  view.setInt32(AT_CHECK, hash.high);
  view.setInt32(AT_CHECK + 4, hash.low);
  const end = out.length - HEARTBEAT_HMAC_BYTES;
  const mac = createHmac("sha256", keys.heartbeatKey).update(out.subarray(0, end)).digest();
  out.set(mac.subarray(0, HEARTBEAT_HMAC_BYTES), end);
  return out;
}
