/** Who claims a bucket: the rule that the tables are built by, for one bucket. */

import { weightFactor } from "../core/weight.ts";
import type { ClaimsBasis } from "./types.ts";

/**
 * Whether the node of `basis` claims one bucket of `table`. `score` gives what weight 1 is worth for a member in
 * that bucket (a rendezvous hash); the greatest weight × score owns it, equal ones go to the smaller name.
 */
export function claimsBucket(basis: ClaimsBasis, table: number, score: (name: string) => number): boolean {
  return owns(basis, basis.ownWeights, table, score) &&
    (basis.ownPreviousWeights === undefined || owns(basis, basis.ownPreviousWeights, table, score));
}

function owns(
  basis: ClaimsBasis,
  ownWeights: readonly number[],
  table: number,
  score: (name: string) => number,
): boolean {
  const own = weightFactor(ownWeights[table] ?? 0) * score(basis.ownName);
  if (own <= 0) return false;
  for (const member of basis.members) {
    const other = weightFactor(member.weights[table] ?? 0) * score(member.name);
    if (other > own || (other === own && member.name < basis.ownName)) return false;
  }
  return true;
}
