/**
 * The conditions of rules: expressions in CEL (Common Expression Language), parsed and type-checked when the file is
 * loaded. A name that does not exist, and a result that is not true or false, are found then, not when the rule matters.
 */
import { Environment } from "@marcbachmann/cel-js";
import { NODE_STATES } from "./event_kinds.ts";
import { formatValue } from "./problem.ts";

/** What an expression can ask of a check. */
const CHECK_FIELDS = ["up", "down", "pending"] as const;
/** Parts of one expression: more than anybody reads, and few enough to evaluate in microseconds. */
const PARTS_MAX = 200;
const DEPTH_MAX = 32;

/** What the variables of an expression stand for at one moment. */
export interface RuleFacts {
  readonly checks: Readonly<Record<string, "up" | "down" | "pending">>;
  readonly farm: {
    /** Members in view, this node included. */
    readonly members: number;
  };
  readonly node: {
    readonly name: string;
    /** State of the application on this node; `up` where none is configured. */
    readonly state: string;
  };
}

/** A condition that can be asked again and again. */
export interface Rule {
  readonly text: string;
  /** Whether it holds. An expression that fails (a division by zero, say) does not hold. */
  holds(facts: RuleFacts): boolean;
}

/** Why an expression cannot be used. `start` and `end` count characters of its text, from 0. */
export interface RuleProblem {
  readonly message: string;
  readonly start: number;
  readonly end: number;
}

/** Reads an expression in which the checks named `checks` are known. */
export function readRule(text: string, checks: readonly string[]): Rule | RuleProblem {
  const environment = environmentOf(checks);
  const result = environment.check(text);
  if (!result.valid) {
    const { summary, message, range } = result.error ?? { message: "it cannot be read" };
    return {
      message: inOurWords(summary ?? message),
      start: range?.start ?? 0,
      end: range?.end ?? text.length,
    };
  }
  if (result.type !== "bool") {
    return { message: `it gives ${result.type}, not true or false`, start: 0, end: text.length };
  }
  const evaluate = environment.parse(text);
  const stray = strayState(evaluate.ast);
  if (stray !== undefined) return stray;
  return {
    text,
    holds(facts) {
      try {
        return evaluate(contextOf(facts)) === true;
      } catch {
        return false;
      }
    },
  };
}

/** Everything that an expression over these checks may name. */
export function ruleNames(checks: readonly string[]): string[] {
  return [...checks.map((check) => `check.${check}`), "farm.members", "node.name", "node.state"];
}

/** Whether {@link readRule} refused. */
export function isRuleProblem(read: Rule | RuleProblem): read is RuleProblem {
  return "message" in read;
}

function environmentOf(checks: readonly string[]): Environment {
  const fields = Object.fromEntries(CHECK_FIELDS.map((field) => [field, "bool"]));
  return new Environment({
    unlistedVariablesAreDyn: false,
    limits: { maxAstNodes: PARTS_MAX, maxDepth: DEPTH_MAX },
  })
    .registerVariable({
      name: "check",
      schema: Object.fromEntries(checks.map((check) => [check, { ...fields }])),
    })
    .registerVariable({ name: "farm", schema: { members: "int" } })
    .registerVariable({ name: "node", schema: { name: "string", state: "string" } });
}

/** What of the library's syntax tree is looked at: an operation, and what it is on. */
interface Part {
  readonly op: string;
  readonly args: unknown;
  readonly start: number;
  readonly end: number;
}

/** A text that `node.state` is compared with, and never is. */
function strayState(ast: unknown): RuleProblem | undefined {
  for (const { op, args } of partsOf(ast)) {
    if (op !== "==" && op !== "!=" && op !== "in") continue;
    const operands = args as Part[];
    if (!operands.some(isNodeState)) continue;
    for (
      const { op, args, start, end } of operands.flatMap((each) =>
        each.op === "list" ? each.args as Part[] : each
      )
    ) {
      if (op !== "value" || typeof args !== "string" || NODE_STATES.includes(args)) continue;
      // Without its quotation marks.
      return { message: `there is no state ${formatValue(args)}`, start: start + 1, end: end - 1 };
    }
  }
  return undefined;
}

function isNodeState({ op, args }: Part): boolean {
  if (op !== ".") return false;
  const [of, field] = args as [Part, string];
  return of.op === "id" && of.args === "node" && field === "state";
}

/** A part of the tree and all that are in it. */
function* partsOf(tree: unknown): Generator<Part> {
  if (Array.isArray(tree)) { for (const each of tree) yield* partsOf(each); }
  else if (typeof tree === "object" && tree !== null && "op" in tree) {
    yield tree as Part;
    yield* partsOf((tree as Part).args);
  }
}

function contextOf({ checks, farm, node }: RuleFacts): Record<string, unknown> {
  const states = Object.entries(checks).map(([name, state]) =>
    [name, { up: state === "up", down: state === "down", pending: state === "pending" }] as const
  );
  return { check: Object.fromEntries(states), farm: { members: BigInt(farm.members) }, node };
}

function inOurWords(summary: string): string {
  return summary
    .replace(/^No such key: (.*)$/, "there is no `$1`")
    .replace(/^Unknown variable: (.*)$/, "there is no `$1`")
    .replace(/^Unexpected token: EOF$/, "it ends too early")
    .replace(/^([A-Z])(?=[a-z])/, (letter) => letter.toLowerCase())
    .replaceAll(/\s+/g, " ");
}
