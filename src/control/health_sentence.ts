/** The state of the farm in one sentence, worst news first. Pure. */
import { type MemberStatus } from "../admin/source.ts";
import { type LanFinding } from "../membership/lan.ts";

/** What is wrong with the LAN goes before it: nodes that serve may get nothing. */
export function healthSentence(
  members: readonly MemberStatus[],
  finding?: Pick<LanFinding, "message">,
): string {
  const sentence = sentenceOf(members);
  return finding === undefined ? sentence : `${finding.message} ${sentence}`;
}

function sentenceOf(members: readonly MemberStatus[]): string {
  const serving = members.filter(({ state }) => state === "up");
  const self = members.find((member) => member.self);
  if (self === undefined) return "This node is starting.";
  if (serving.length === 0) {
    return self.state === "joining"
      ? "This node is joining; no other serves that it can hear."
      : "No node takes new connections.";
  }
  const troubled = members.filter(({ state }) => state !== "up");
  if (troubled.length === 0) {
    return serving.length === 1
      ? "The only node serves; nobody takes over if it fails."
      : `All ${serving.length} nodes serve.`;
  }
  return `${serving.length === 1 ? "1 node" : `${serving.length} nodes`} of ${members.length} ${
    serving.length === 1 ? "serves" : "serve"
  }; ${troubled.map(({ name, state }) => `${name} is ${state}`).join(", ")}.`;
}
