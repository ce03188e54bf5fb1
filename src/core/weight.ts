/**
 * A weight as it stands in tables of weights and on the wire: 0 to 1000, or the same marked as a **last resort**.
 *
 * A member whose own checks fail may keep its weight as a last resort: it counts for so little that it wins a bucket
 * only where no healthy member has any weight. So a check that fails on every node at once does not empty the farm, and
 * nobody has to know whether "all" fail: owners still follow from comparing two scores at a time.
 */
import { WEIGHT_MAX } from "./limits.ts";

/** Marks a weight as a last resort. Above every weight, and within the two bytes of the wire. */
const LAST_RESORT = 0x8000;

/**
 * What a last resort's weight counts. A power of two, so that the product stays exact; draws lie between 0.04 and 9e9
 * (`ownership/rendezvous.ts`), and the greatest weight with the greatest draw must stay below the smallest of each:
 * 1000 · 9e9 / 0.04 is less than 2^48.
 */
const LAST_RESORT_FACTOR = 2 ** -60;

/** Whether this is a weight, plain or a last resort. There is no last resort of weight 0: that is 0. */
export function isWeight(value: number): boolean {
  if (!Number.isInteger(value) || value < 0) return false;
  return value <= WEIGHT_MAX ||
    (isLastResort(value) && plainWeight(value) > 0 && plainWeight(value) <= WEIGHT_MAX);
}

/** This weight as a last resort; 0 stays 0. */
export function asLastResort(weight: number): number {
  return weight === 0 ? 0 : weight | LAST_RESORT;
}

/** Whether it is marked. */
export function isLastResort(weight: number): boolean {
  return weight >= LAST_RESORT;
}

/** The weight without the mark: 0 to 1000. */
export function plainWeight(weight: number): number {
  return isLastResort(weight) ? weight - LAST_RESORT : weight;
}

/** What a draw is multiplied with to give the score. */
export function weightFactor(weight: number): number {
  return isLastResort(weight) ? plainWeight(weight) * LAST_RESORT_FACTOR : weight;
}
