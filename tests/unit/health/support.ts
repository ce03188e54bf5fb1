/** Checks, rules and memories for the tests of `health/`. */
import { type CheckConfig, type ChecksConfig, type RuleConfig } from "../../../src/config/checks_config.ts";
import { isRuleProblem, readRule } from "../../../src/config/rule_expression.ts";
import { type CheckMemory } from "../../../src/health/damping.ts";
import { type CheckState } from "../../../src/health/types.ts";

export const SERVICES = ["http", "dns"];

export function check(name: string, more: Partial<CheckConfig> = {}): CheckConfig {
  return {
    name,
    target: { kind: "farm", members: 1, gateway: undefined },
    timing: { intervalMs: 1_000, timeoutMs: 800, rise: 2, fall: 2, startDelayMs: 0, warmUpMs: 200 },
    services: SERVICES,
    onFailure: "leave",
    lastResort: true,
    ...more,
  };
}

export function rule(when: string, checks: readonly string[], more: Partial<RuleConfig> = {}): RuleConfig {
  const read = readRule(when, checks);
  if (isRuleProblem(read)) throw new Error(read.message);
  return {
    name: "#1",
    when: read,
    action: "leave",
    afterMs: 0,
    services: SERVICES,
    lastResort: true,
    ...more,
  };
}

export function config(checks: readonly CheckConfig[], rules: readonly RuleConfig[] = []): ChecksConfig {
  return { checks, rules, services: SERVICES };
}

export function memory(state: CheckState, more: Partial<CheckMemory> = {}): CheckMemory {
  return {
    state,
    sinceMs: 0,
    streak: 0,
    runs: state === "pending" ? 0 : 5,
    failures: 0,
    dueMs: 0,
    holdsBack: true,
    ...(state !== "pending" && { last: { good: state === "up", reason: "as it is" } }),
    ...more,
  };
}
