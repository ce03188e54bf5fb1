/**
 * What a node does before it takes part for the first time: it listens, and asks who answers for its addresses. Two mistakes would
 * break a farm that serves, and no protocol can mend them afterwards: a second node of one name, and a node that answers for
 * the same address without hearing the others, as behind a firewall or with another secret.
 */
import { type FarmConfig, type NodeConfig } from "../config/load.ts";
import { VipfarmError } from "../core/errors.ts";
import { askLan, type LanAnswer } from "./lan_findings.ts";
import { findLink } from "./link.ts";
import { type Heard, listen, nameTaken } from "./neighbours.ts";

/** A heartbeat of this node's own name counts if it is no older: what an attacker recorded before keeps nobody out. */
const LIVE_MS = 5_000;

/** What speaks against taking part, and what to do about it. */
export interface Objection {
  readonly problem: string;
  readonly remedy: string;
}

/**
 * Looks around, for some heartbeat intervals. What cannot be looked at is passed over: what needs it next tells more.
 * @throws VipfarmError if the node must not take part
 */
export async function lookAround(config: FarmConfig, node: NodeConfig): Promise<void> {
  const interfaces = [...new Set(node.virtualIps.map((vip) => vip.interface))];
  const listening = Promise.all(node.heartbeatInterfaces.map((name) => hear(config, name)));
  const asking = Promise.all(interfaces.map((name) => askLan(name, node)));
  const [heard, answers] = await Promise.all([orNothing(listening), orNothing(asking)]);
  const objection = heard &&
    (sameName(node.name, heard.flat()) ?? unheardFarm(config, heard.flat(), answers?.flat() ?? []));
  if (objection !== undefined) throw new VipfarmError({ operation: "take part in the farm", ...objection });
}

/** Another host runs under this node's name. Pure. */
export function sameName(nodeName: string, heard: readonly Heard[]): Objection | undefined {
  const twin = heard.find(({ message, atMs }) =>
    typeof message !== "string" && message.sender === nodeName &&
    Math.abs(message.wallClockMs - atMs) <= LIVE_MS
  );
  return twin && nameTaken(nodeName, twin.from);
}

/** A farm serves, and this node does not hear it: it would answer, too. Pure. */
export function unheardFarm(
  { heartbeat }: Pick<FarmConfig, "heartbeat">,
  heard: readonly Heard[],
  answers: readonly LanAnswer[],
): Objection | undefined {
  const answered = answers.filter(({ byFarm }) => byFarm).map(({ address }) => address.text).join(", ");
  const isHeard = heard.some(({ message }) => typeof message !== "string" || message === "version");
  if (answered === "" || isHeard) return undefined;
  const others = new Set(heard.filter(({ message }) => message === "foreignFarm").map(({ from }) => from));
  if (others.size > 0) {
    return {
      problem: `a farm with another name or secret answers for ${answered}: ${[...others].join(", ")}`,
      remedy:
        "If it is meant to be this one, use its file and secret: vipfarm invite and vipfarm join carry " +
        "them. Else choose another virtual IP.",
    };
  }
  return {
    problem: `a farm answers for ${answered}, but none of its nodes is heard here`,
    remedy:
      `Let heartbeats in (UDP port ${heartbeat.port}): vipfarm preflight says whether a firewall drops ` +
      "them. If it is another farm, choose another virtual IP.",
  };
}

async function hear(config: FarmConfig, interfaceName: string): Promise<Heard[]> {
  const link = findLink(interfaceName);
  if (link === undefined) return [];
  const listened = await listen(config, link);
  return listened.flatMap(({ heard }) => heard);
}

async function orNothing<T>(looking: Promise<T>): Promise<T | undefined> {
  try {
    return await looking;
  } catch (error) {
    if (error instanceof VipfarmError) return undefined;
    throw error;
  }
}
