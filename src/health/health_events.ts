/** What checks and rules tell people: cause and effect in a sentence. */
import { type CheckConfig, type FailureAction, type RuleConfig } from "../config/checks_config.ts";
import { type FarmEventInit } from "../core/events.ts";
import { type CheckState } from "./types.ts";

export function checkEvent(
  { name, services, onFailure, target }: CheckConfig,
  state: CheckState,
  reason: string,
  node: string,
): FarmEventInit {
  const details = { check: name, check_kind: target.kind, services, action: onFailure, reason };
  return state === "up"
    ? {
      severity: "info",
      kind: "check.up",
      message: `Check ${name} is up again on ${node}: ${reason}.`,
      node,
      details,
    }
    : {
      severity: onFailure === "none" ? "info" : "warning",
      kind: "check.down",
      message: `Check ${name} is down on ${node}: ${withoutStop(reason)}. ${effect(onFailure, services)}`,
      node,
      details,
    };
}

export function ruleEvent(
  { name, when, action, services }: RuleConfig,
  applies: boolean,
  node: string,
): FarmEventInit {
  return {
    severity: applies ? "warning" : "info",
    kind: applies ? "rule.applies" : "rule.ended",
    message: applies
      ? `Rule ${name} applies on ${node} (${when.text}). ${effect(action, services)}`
      : `Rule ${name} does not apply any more on ${node} (${when.text}).`,
    node,
    details: { rule: name, when: when.text, services, action },
  };
}

function effect(action: FailureAction, services: readonly string[]): string {
  const what = services.length === 0 ? "It" : services.join(", ");
  const takes = services.length > 1 ? "take" : "takes";
  switch (action) {
    case "none":
      return "Nothing follows from it.";
    case "leave":
      return `${what} ${takes} no new flows here; open connections stay.`;
    case "fail":
      return `${what} ${takes} no flows here any more.`;
    case "restart":
      return `${what} ${takes} no new flows here, and the application is to be restarted.`;
    case "stop":
      return `${what} ${takes} no new flows here, and the application is to be stopped.`;
  }
}

function withoutStop(reason: string): string {
  return reason.replace(/\.$/, "");
}
