/** The trace that every action leaves: who gave it, from where, and what became of it. */

import type { Context } from "hono";
import { ApiFailure } from "./failure.ts";
import { type AdminEnv, peerText } from "./guard.ts";
import type { FarmSource } from "./source.ts";

/** An action as it was asked for. */
export interface Action {
  /** For people: `drain n2`. */
  readonly asked: string;
  /** The node that it is about, if it is about one. */
  readonly node?: string;
  readonly verb: string;
  readonly value?: number | string;
}

/** Refusals that tell of trouble in the farm; the others answer what was asked wrongly. */
const TROUBLE: ReadonlySet<string> = new Set(["node_unreachable", "order_failed"]);

/**
 * Does it, and records an event with what it says; a refusal, also one that `act` throws, is recorded as such. Gives
 * back what `act` gave.
 */
export async function audited<T extends { readonly outcome: string; readonly message: string }>(
  c: Context<AdminEnv>,
  source: FarmSource,
  action: Action,
  act: () => T | Promise<T>,
): Promise<T> {
  const record = (outcome: string, message: string, severity: "info" | "warning") => {
    const who = c.get("principal");
    source.events.record({
      severity,
      kind: "admin.action",
      message: `${action.asked}, asked by ${who.name} (${who.role}) from ${peerText(c)}: ${message}`,
      node: action.node,
      details: {
        verb: action.verb,
        value: action.value,
        who: who.name,
        role: who.role,
        from: peerText(c),
        outcome,
      },
    });
  };
  try {
    const done = await act();
    record(done.outcome, done.message, "info");
    return done;
  } catch (error) {
    if (error instanceof ApiFailure) {
      record("refused", error.message, TROUBLE.has(error.code) ? "warning" : "info");
    }
    throw error;
  }
}
