/**
 * Which node answers a client, and why: the same decision as the packet path takes, for one flow, in words.
 */

import type { IpAddress } from "../core/address.ts";
import { EXIT, VipfarmError } from "../core/errors.ts";
import { BUCKETS } from "../core/limits.ts";
import { isLastResort, plainWeight, weightFactor } from "../core/weight.ts";
import { AFFINITY, type Affinity, FlowHash, NETWORK_PREFIX_LENGTH } from "./flow_hash.ts";
import { Draws, firstOfGroup } from "./rendezvous.ts";
import { nameBefore } from "./table.ts";

/** The flow to explain, and the keys of the farm. */
export interface FlowQuestion {
  readonly client: IpAddress;
  /** The client's port; needed with affinity `connection` only. */
  readonly port?: number;
  readonly affinity: Affinity;
  /** Whether groups of buckets have one owner, as for services with UDP flows that stay. */
  readonly grouped?: boolean;
  readonly flowKey: Uint8Array;
  readonly rendezvousKey: Uint8Array;
}

/** A member's part in the decision. */
export interface MemberScore {
  readonly name: string;
  readonly weight: number;
  /** Its own checks fail: it owns only what no healthy member can. */
  readonly lastResort?: true;
  /** weight · draw, all but nothing for a last resort; 0 for weight 0. */
  readonly score: number;
}

/** Who answers, and why. */
export interface Explanation {
  readonly bucket: number;
  /** Absent if no member is eligible. */
  readonly owner?: string;
  /** Who takes over if the owner leaves; absent if nobody else is eligible. */
  readonly runnerUp?: string;
  /** All members, the highest score first; equal scores by name. */
  readonly scores: readonly MemberScore[];
  /** The same in a few sentences. */
  readonly why: string;
}

/**
 * Explains who answers the flow among these members.
 * @throws VipfarmError if the affinity is `connection` and no port from 0 to 65,535 is given
 */
export function explainFlow(
  question: FlowQuestion,
  members: readonly { readonly name: string; readonly weight: number }[],
): Explanation {
  const hashed = bucketOfFlow(question);
  const bucket = question.grouped === true ? firstOfGroup(hashed) : hashed;
  const scores = members.map(({ name, weight }) => ({
    name,
    weight: plainWeight(weight),
    ...(isLastResort(weight) && { lastResort: true as const }),
    score: weight === 0 ? 0 : weightFactor(weight) * new Draws(question.rendezvousKey, name).draw(bucket),
  })).sort((a, b) => b.score - a.score || (nameBefore(a.name, b.name) ? -1 : 1));
  const [owner, runnerUp] = scores.filter((member) => member.weight > 0);
  return {
    bucket,
    ...(owner && { owner: owner.name }),
    ...(runnerUp && { runnerUp: runnerUp.name }),
    scores,
    why: sentences(question, bucket, scores, owner, runnerUp),
  };
}

function bucketOfFlow({ client, port, affinity, flowKey }: FlowQuestion): number {
  if (affinity === AFFINITY.connection) {
    if (port === undefined || !Number.isInteger(port) || port < 0 || port > 0xffff) {
      throw new VipfarmError({
        operation: "explain flow",
        problem: "with affinity connection the client's port, 0 to 65535, decides too",
        value: port === undefined ? `${client.text}, no port` : `${client.text}, port ${port}`,
        remedy: client.family === 4
          ? `Ask for ${client.text}:PORT with the client's port.`
          : `Ask for [${client.text}]:PORT with the client's port.`,
        exitCode: EXIT.usage,
      });
    }
  }
  return new FlowHash(flowKey).bucket(affinity, client.bytes, 0, client.family, port ?? 0);
}

function sentences(
  { client, port, affinity }: FlowQuestion,
  bucket: number,
  scores: readonly MemberScore[],
  owner: MemberScore | undefined,
  runnerUp: MemberScore | undefined,
): string {
  const key = affinity === AFFINITY.connection
    ? `client address and port (${client.text}, ${port})`
    : affinity === AFFINITY.client
    ? `client address (${client.text})`
    : `client network (the /${NETWORK_PREFIX_LENGTH[client.family]} of ${client.text})`;
  const parts = [`The ${key} hashes to bucket ${bucket} of ${BUCKETS}.`];
  if (owner === undefined) {
    parts.push(
      scores.length === 0
        ? "There are no members."
        : "No member has a weight above 0, so nobody answers new flows.",
    );
    return parts.join(" ");
  }
  const figures = (member: MemberScore) =>
    `score ${member.score.toPrecision(4)}, weight ${member.weight}${
      member.lastResort ? " as a last resort" : ""
    }`;
  if (runnerUp === undefined) {
    parts.push(`${owner.name} is the only eligible member (${figures(owner)}).`);
  } else {
    parts.push(
      `${owner.name} has the highest score for it (${figures(owner)});`,
      `if it leaves, ${runnerUp.name} takes over (${figures(runnerUp)}).`,
    );
  }
  const failing = scores.filter((member) => member.lastResort).map((member) => member.name);
  if (failing.length > 0) {
    parts.push(`Last resort, for what no healthy member can take: ${failing.join(", ")}.`);
  }
  const resting = scores.filter((member) => member.weight === 0).map((member) => member.name);
  if (resting.length > 0) parts.push(`Weight 0, hence no new flows: ${resting.join(", ")}.`);
  return parts.join(" ");
}
