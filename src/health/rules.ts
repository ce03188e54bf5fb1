/** When a rule takes effect: its condition must have held for a while without a break. Pure. */
import { type RuleConfig } from "../config/checks_config.ts";
import { type RuleFacts } from "../config/rule_expression.ts";

/** What is remembered of one rule. */
export interface RuleMemory {
  /** Since when its condition holds without a break; undefined while it does not. */
  readonly heldSinceMs: number | undefined;
}

export const RULE_BEGIN: RuleMemory = { heldSinceMs: undefined };

/** Looks at the condition as it is now. */
export function lookAtRule(
  memory: RuleMemory,
  rule: RuleConfig,
  facts: RuleFacts,
  nowMs: number,
): RuleMemory {
  if (!rule.when.holds(facts)) return RULE_BEGIN;
  return memory.heldSinceMs === undefined ? { heldSinceMs: nowMs } : memory;
}

/** Since when the rule is in effect, in ms; undefined while it is not. */
export function inEffectSinceMs(memory: RuleMemory, rule: RuleConfig, nowMs: number): number | undefined {
  const sinceMs = effectMs(memory, rule);
  return sinceMs !== undefined && nowMs >= sinceMs ? sinceMs : undefined;
}

/** When the rule takes effect if nothing changes, in ms; undefined if it is in effect already or would never be. */
export function takesEffectMs(memory: RuleMemory, rule: RuleConfig, nowMs: number): number | undefined {
  const sinceMs = effectMs(memory, rule);
  return sinceMs !== undefined && nowMs < sinceMs ? sinceMs : undefined;
}

function effectMs({ heldSinceMs }: RuleMemory, { afterMs }: RuleConfig): number | undefined {
  return heldSinceMs === undefined ? undefined : heldSinceMs + afterMs;
}
