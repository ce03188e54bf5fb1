/** What checks and rules together ask for, service by service and for the application. Pure. */
import { type ChecksConfig, type FailureAction } from "../config/checks_config.ts";
import { type CheckMemory } from "./damping.ts";
import { inEffectSinceMs, type RuleMemory } from "./rules.ts";
import { type NodeHealth, type ServiceHealth } from "./types.ts";

/** One that asks. */
interface Asking {
  readonly name: string;
  readonly action: FailureAction;
  readonly services: readonly string[];
  readonly lastResort: boolean;
  readonly reason: string;
  readonly sinceMs: number;
  /** Not known yet: keeps services back, and asks nothing of the application. */
  readonly pending: boolean;
}

/** What is asked for, with times on the caller's clock. */
export interface Demands {
  readonly services: Readonly<Record<string, ServiceHealth>>;
  readonly node: Omit<NodeHealth, "since"> & { readonly sinceMs: number | undefined };
}

const SERVICE_RANK = { none: 0, leave: 1, fail: 2 } as const;
const NODE_RANK = { none: 0, restart: 1, stop: 2 } as const;

/** `checks` and `rules` are the memories, in the order of `config`. */
export function demands(
  config: ChecksConfig,
  checks: readonly CheckMemory[],
  rules: readonly RuleMemory[],
  nowMs: number,
): Demands {
  const asking = [...askingChecks(config, checks), ...askingRules(config, rules, nowMs)];
  const services = Object.fromEntries(config.services.map((service) => {
    const weight = leastWeight(config, checks, service);
    return [service, { ...ofService(asking, service), ...(weight !== undefined && { weight }) }];
  }));
  return { services, node: ofNode(asking) };
}

function askingChecks({ checks }: ChecksConfig, memories: readonly CheckMemory[]): Asking[] {
  return checks.flatMap(({ name, onFailure, services, lastResort }, index) => {
    const { state, last, sinceMs, holdsBack } = memories[index];
    const pending = state === "pending" && holdsBack;
    if (state !== "down" && !pending) return [];
    const reason = pending
      ? `check ${name} has no verdict yet`
      : `check ${name} is down: ${last?.reason ?? ""}`;
    return [{ name, action: onFailure, services, lastResort, reason, sinceMs, pending }];
  });
}

function askingRules({ rules }: ChecksConfig, memories: readonly RuleMemory[], nowMs: number): Asking[] {
  return rules.flatMap((rule, index) => {
    const sinceMs = inEffectSinceMs(memories[index], rule, nowMs);
    if (sinceMs === undefined) return [];
    const { name, action, services, lastResort, when } = rule;
    return [{
      name,
      action,
      services,
      lastResort,
      reason: `rule ${name} applies: ${when.text}`,
      sinceMs,
      pending: false,
    }];
  });
}

/** The strongest demand, of those the first; the service may be a last resort only if all of them say so. */
function ofService(asking: readonly Asking[], service: string): ServiceHealth {
  let strongest: Asking | undefined;
  let lastResort = true;
  for (const each of asking) {
    const demand = serviceDemand(each.action);
    if (demand === "none" || !each.services.includes(service)) continue;
    lastResort &&= each.lastResort;
    if (
      strongest === undefined || SERVICE_RANK[demand] > SERVICE_RANK[serviceDemand(strongest.action)] ||
      (strongest.pending && !each.pending && demand === serviceDemand(strongest.action))
    ) strongest = each;
  }
  if (strongest === undefined) return { demand: "none", lastResort: false, reason: "" };
  const { action, name, reason } = strongest;
  return { demand: serviceDemand(action), lastResort, check: name, reason };
}

function ofNode(asking: readonly Asking[]): Demands["node"] {
  let strongest: Asking | undefined;
  for (const each of asking) {
    if (each.pending || nodeDemand(each.action) === "none") continue;
    if (
      strongest === undefined || NODE_RANK[nodeDemand(each.action)] > NODE_RANK[nodeDemand(strongest.action)]
    ) {
      strongest = each;
    }
  }
  if (strongest === undefined) return { demand: "none", reason: "", sinceMs: undefined };
  const { action, name, reason, sinceMs } = strongest;
  return { demand: nodeDemand(action), check: name, reason, sinceMs };
}

/** An application that is about to be stopped takes no new flows; its own stop ends the open ones as it should. */
function serviceDemand(action: FailureAction): ServiceHealth["demand"] {
  return action === "restart" || action === "stop" ? "leave" : action;
}

function nodeDemand(action: FailureAction): NodeHealth["demand"] {
  return action === "restart" || action === "stop" ? action : "none";
}

function leastWeight(
  { checks }: ChecksConfig,
  memories: readonly CheckMemory[],
  service: string,
): number | undefined {
  let least: number | undefined;
  for (const [index, { services }] of checks.entries()) {
    const weight = memories[index].last?.weight;
    if (weight !== undefined && services.includes(service)) least = Math.min(least ?? weight, weight);
  }
  return least;
}
