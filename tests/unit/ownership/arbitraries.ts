/** What the property tests of this folder draw from. */

import fc from "fast-check";
import { addressFromBytes } from "../../../src/core/address.ts";
import { MEMBERS_MAX } from "../../../src/core/limits.ts";
import { AFFINITY, type AffinityName } from "../../../src/ownership/flow_hash.ts";

export const key = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

export const address = fc.constantFrom(4, 16).chain(key).map(addressFromBytes);

export const flow = fc.record({
  client: address,
  port: fc.integer({ min: 0, max: 65_535 }),
  affinity: fc.constantFrom(...Object.keys(AFFINITY) as AffinityName[]),
});

const nameCharacter = fc.constantFrom(..."ABZabz019._-");

export const name = fc.string({ unit: nameCharacter, minLength: 1, maxLength: 63 });

/** Mostly ordinary weights, and the edges. */
export const weight = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 50, max: 200 }) },
  fc.constantFrom(0, 1, 100, 1000),
  fc.integer({ min: 0, max: 1000 }),
);

export const members = (sizeMax = MEMBERS_MAX) =>
  fc.uniqueArray(fc.record({ name, weight }), { minLength: 0, maxLength: sizeMax, selector: (m) => m.name });
