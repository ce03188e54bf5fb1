/** This node is in contact: enough members are in view, and the gateway answers. */
import { type CheckTarget } from "../../config/checks_config.ts";
import { bad, type Checker, type CheckerParts, good, type Run } from "../checker.ts";
import { Pinger } from "./ping.ts";

export function farmChecker(
  target: Extract<CheckTarget, { kind: "farm" }>,
  { members, watcher, nowMs }: CheckerParts,
): Checker {
  const gateway = target.gateway === undefined ? undefined : new Pinger(target.gateway, watcher, nowMs);
  return {
    async run({ signal }: Run) {
      const count = members();
      const inView = `${count} ${count === 1 ? "member" : "members"} in view`;
      if (count < target.members) return bad(`${inView}, expected at least ${target.members}`);
      if (gateway === undefined) return good(inView);
      const answer = await gateway.ask(signal);
      return answer.good ? good(`${inView}, ${answer.reason}`) : bad(`the gateway ${answer.reason}`);
    },
    close: () => gateway?.close(),
  };
}
