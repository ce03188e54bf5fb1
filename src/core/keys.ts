/**
 * The keys of a farm, all derived from its one secret.
 *
 * HKDF-SHA256 (RFC 5869) with one purpose per key: whoever learns one of them learns none of the others, and two
 * farms that were given the same secret still have different keys.
 */

import { hkdfSync } from "node:crypto";
import { SECRET_BYTES_MIN } from "./limits.ts";
import { VipfarmError } from "./errors.ts";

/** The keys of one farm. Keep them out of logs. */
export interface FarmKeys {
  /** 32 bytes: authenticates heartbeats. */
  readonly heartbeatKey: Uint8Array;
  /** 16 bytes: quick check of a heartbeat's header, before the costly one. */
  readonly headerKey: Uint8Array;
  /** 16 bytes: hashes flows into buckets. */
  readonly flowKey: Uint8Array;
  /** 32 bytes: chooses the owner of a bucket. */
  readonly rendezvousKey: Uint8Array;
  /** 4 bytes, not secret: tells farms on one LAN apart without trying their keys. */
  readonly farmTag: Uint8Array;
}

const SALT = "vipfarm";

/**
 * The keys of the farm with this secret and name. Same input, same keys, on every node and in every version.
 * @param secret the bytes themselves, not their base64 text
 * @throws VipfarmError if the secret is shorter than {@link SECRET_BYTES_MIN}
 */
export function deriveKeys(secret: Uint8Array, farm: string): FarmKeys {
  if (secret.length < SECRET_BYTES_MIN) {
    throw new VipfarmError({
      operation: "derive farm keys",
      problem: `the secret must have at least ${SECRET_BYTES_MIN} bytes`,
      value: `${secret.length} bytes`,
      remedy: "Make a new one with `vipfarm keygen` and put it on every node.",
    });
  }
  // The purpose never contains a colon, so no farm name can imitate another purpose.
  const derive = (purpose: string, length: number) =>
    new Uint8Array(hkdfSync("sha256", secret, SALT, `${purpose}:${farm}`, length));
  return {
    heartbeatKey: derive("heartbeat", 32),
    headerKey: derive("header", 16),
    flowKey: derive("flow", 16),
    rendezvousKey: derive("rendezvous", 32),
    farmTag: derive("tag", 4),
  };
}
