/**
 * Whether this node may take a share at all when others are missing: the guard against two farms in a full cut, for those
 * who would rather have none. Pure.
 *
 * Votes are echoes: a member votes for this node for as long as it cannot have replaced it, which is the lease, counted
 * from when this node sent what the member says it has heard. In a full cut the last such heartbeat was sent before the
 * cut, so whoever lost its quorum stops within 4 intervals of it, and who has one takes over after 5 at the earliest.
 */

/** Who must be heard for this node to take a share. */
export type QuorumRule =
  /** More than half of the expected nodes, this one included. */
  | { readonly kind: "majority"; readonly expected: readonly string[] }
  /** Every expected node, or else an address that answers. Without expected nodes, the address in any case. */
  | { readonly kind: "witness"; readonly address: string; readonly expected: readonly string[] };

/** What the rule is applied to. Times are on this node's clock. */
export interface Votes {
  readonly self: string;
  /** When this node sent what the member has last said that it heard; `undefined`: it hears nothing, or is not there. */
  readonly echoedMs: (name: string) => number | undefined;
  /** When this node sent the last question that the witness answered. */
  readonly witnessMs: number | undefined;
  /** The oldest of the live members' echoes, expected or not; Infinity where there is none. */
  readonly oldestEchoMs: () => number;
  /** How long a vote holds. */
  readonly leaseMs: number;
  /** How much later than an echo the witness must have been asked to add something to it. */
  readonly newsMs: number;
}

/** Until when this node has its quorum; without a rule for ever. */
export function quorumDeadlineMs(rule: QuorumRule | undefined, votes: Votes): number {
  if (rule === undefined) return Infinity;
  const others = rule.expected.filter((name) => name !== votes.self);
  const newestFirst = others.map((name) => votes.echoedMs(name) ?? -Infinity).sort((a, b) => b < a ? -1 : 1);
  if (rule.kind === "majority") {
    const needed = othersNeeded(rule.expected, votes.self);
    return needed <= 0 ? Infinity : (newestFirst[needed - 1] ?? -Infinity) + votes.leaseMs;
  }
  // Nobody is missing: there is nothing to decide, and a witness that is rebooted stops no farm.
  const allMs = others.length === 0 ? -Infinity : newestFirst[newestFirst.length - 1];
  // An answer from when a member was still in contact says nothing of a cut since then, and adds nothing to what that says.
  const { witnessMs = -Infinity } = votes;
  const oldestEchoMs = votes.oldestEchoMs();
  const isNews = witnessMs >= oldestEchoMs + votes.newsMs;
  return Math.max(allMs, isNews ? witnessMs : Math.min(witnessMs, oldestEchoMs)) + votes.leaseMs;
}

/** What is missing, as a sentence without subject. */
export function quorumProblem(rule: QuorumRule, votes: Votes, nowMs: number): string {
  const heard =
    rule.expected.filter((name) =>
      name === votes.self || nowMs < (votes.echoedMs(name) ?? -Infinity) + votes.leaseMs
    ).length;
  if (rule.kind === "majority") {
    const needed = Math.floor(rule.expected.length / 2) + 1;
    return `has no quorum: ${heard} of ${rule.expected.length} expected nodes are in contact, this one included, ` +
      `and ${needed} are needed`;
  }
  const answered = nowMs < (votes.witnessMs ?? -Infinity) + votes.leaseMs;
  const witness = `the witness ${rule.address} ${
    answered ? "has not answered since a member fell silent" : "does not answer"
  }`;
  return rule.expected.length === 0
    ? `has no quorum: ${witness}`
    : `has no quorum: ${witness}, and ${heard} of ${rule.expected.length} expected nodes are in contact`;
}

function othersNeeded(expected: readonly string[], self: string): number {
  return Math.floor(expected.length / 2) + 1 - (expected.includes(self) ? 1 : 0);
}
