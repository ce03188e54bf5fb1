/** Verdicts as they stand in a file, for the next process of the same node. */
import { z } from "zod";

const known = z.object({
  state: z.enum(["up", "down", "pending"]),
  sinceMs: z.number(),
  /** That the check gave its services, last. */
  weight: z.number().optional(),
});

const saved = z.object({
  /** By name. A check that is pending and holds nothing back is not there: nothing follows from it. */
  checks: z.record(z.string(), known),
  /** Since when the condition of a rule holds, by its name. */
  rules: z.record(z.string(), z.number()),
});

/** What is kept of one check. Short: a node has hundreds of them. */
export type KnownCheck = z.infer<typeof known>;
/** What is kept; times are of one boot. */
export type SavedHealth = z.infer<typeof saved>;

/** What was saved; undefined if it is nothing of ours. */
export function readSavedHealth(value: unknown): SavedHealth | undefined {
  return saved.safeParse(value).data;
}
