/** Who owns which bucket, and what of it is moving, as compact text for the console's picture. Pure. */
import { Buffer } from "node:buffer";
import { type BucketsAnswer } from "../admin/detail_schemas.ts";
import { BUCKETS } from "../core/limits.ts";
import { CLAIM, CONTESTED, RETAINED } from "../dataplane/shared.ts";
import { type OwnerTable } from "../ownership/table.ts";

/** `flags`: this node's byte for each bucket; `leaseHolds`: without a lease nothing is claimed. */
export function bucketMap(
  node: string,
  service: string | undefined,
  { members, owner }: Pick<OwnerTable, "members" | "owner">,
  flags: Uint8Array,
  leaseHolds: boolean,
): BucketsAnswer {
  const own = members.findIndex(({ name }) => name === node);
  const claimed = bitmap((bucket) => leaseHolds && (flags[bucket] & CLAIM) !== 0);
  const contested = bitmap((bucket) => (flags[bucket] & CONTESTED) !== 0 && owner[bucket] === own);
  const retained = bitmap((bucket) => (flags[bucket] & (RETAINED | CLAIM)) === RETAINED);
  const awaited = bitmap((bucket) => owner[bucket] === own && (!leaseHolds || (flags[bucket] & CLAIM) === 0));
  return {
    service: service ?? null,
    node,
    nodes: members.map(({ name }) => name),
    owners: Buffer.from(owner).toString("base64"),
    claimed: claimed.text,
    contested: contested.text,
    retained: retained.text,
    counts: {
      claimed: claimed.count,
      contested: contested.count,
      retained: retained.count,
      awaited: awaited.count,
    },
  };
}

function bitmap(isSet: (bucket: number) => boolean): { text: string | null; count: number } {
  const bytes = new Uint8Array(BUCKETS / 8);
  let count = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    if (!isSet(bucket)) continue;
    bytes[bucket >> 3] |= 1 << (bucket & 7);
    count++;
  }
  return { text: count === 0 ? null : Buffer.from(bytes).toString("base64"), count };
}
