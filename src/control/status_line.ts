/** What people should know of this node and its farm, in one line: for the service manager, and who asks it. */
import { type FarmStatus } from "../admin/source.ts";
import { healthSentence } from "./health_sentence.ts";

type Members = FarmStatus["members"];

/** Whether the others count on this node, or it is a farm of its own. */
export function hasJoined(members: Members): boolean {
  const state = members.find(({ self }) => self)?.state;
  return state === "up" || state === "draining";
}

/** State, share of new flows, and how the farm is: `up, 33 % of new flows; All 3 nodes serve.` */
export function statusLine(members: Members): string {
  const self = members.find(({ self }) => self);
  if (self === undefined) return "starting";
  const why = self.state === "up" || self.reason === "" ? "" : ` (${self.reason})`;
  return `${self.state}${why}, ${shareText(self.claimed ?? {})}; ${healthSentence(members)}`;
}

function shareText(claimed: Readonly<Record<string, number>>): string {
  const shares = Object.entries(claimed).map(([service, share]) => ({
    service,
    text: `${Math.round(share * 100)} %`,
  }));
  const [first] = shares;
  if (first === undefined) return "no services";
  if (shares.every(({ text }) => text === first.text)) return `${first.text} of new flows`;
  return `of new flows ${shares.map(({ service, text }) => `${service} ${text}`).join(", ")}`;
}
