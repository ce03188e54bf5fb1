/**
 * Runs the checks of this node, and tells what they and the rules ask for. Judging is in pure functions (`damping.ts`,
 * `rules.ts`, `demands.ts`); here are the timers, the checkers and the memory.
 */
import { type CheckConfig, type ChecksConfig } from "../config/checks_config.ts";
import { type RuleFacts } from "../config/rule_expression.ts";
import { messageOf, VipfarmError } from "../core/errors.ts";
import { type FarmEventInit } from "../core/events.ts";
import { Alarms } from "./alarms.ts";
import { type Checker, type CheckerParts } from "./checker.ts";
import { createChecker } from "./checkers.ts";
import { afterRun, begin, beginAnew, type CheckMemory, type Finding, goOn } from "./damping.ts";
import { demands } from "./demands.ts";
import { checkEvent, ruleEvent } from "./health_events.ts";
import { Links } from "./links.ts";
import { ProcessTable } from "./process_table.ts";
import { inEffectSinceMs, lookAtRule, RULE_BEGIN, type RuleMemory, takesEffectMs } from "./rules.ts";
import { type SavedHealth } from "./saved.ts";
import { type CheckStatus, type HealthState } from "./types.ts";
import { type Watcher } from "./watcher.ts";

/** Longest reason: it stands in a line of a status. */
const REASON_LENGTH_MAX = 300;

/**
 * Between a change of the facts and the look at the rules. A rule may change what it is about (`node.state`), and then
 * itself: that must not turn round and round at once.
 */
const FACTS_MS = 100;

/** What the daemon gives. */
export interface HealthParts {
  readonly node: string;
  readonly watcher: Watcher;
  /** Another process of this node has had these checks up until now: none holds services back before its first verdict. */
  readonly assumeUp: boolean;
  interfaceName: CheckerParts["interfaceName"];
  members(): number;
  /** State of the application on this node, for rules. */
  nodeState(): string;
  /** Milliseconds since boot. */
  nowMs(): number;
  /** Milliseconds since 1970, for people. */
  wallMs(): number;
  /** From 0 to 1: spreads the checks. */
  chance(): number;
  record(event: FarmEventInit): void;
  /** What is asked for, or the state of a check, has changed. */
  onChange(state: HealthState): void;
}

/** A check that is there, with what it is run by. */
interface Running {
  config: CheckConfig;
  checker: Checker;
  memory: CheckMemory;
  /** Takes the next run back. */
  takeBack?: () => void;
  /** Ends the run under way. */
  abort?: AbortController;
  /** Run again as soon as the run under way has ended: the kernel has told of a change meanwhile. */
  poked: boolean;
  closed: boolean;
}

export class Health {
  #config: ChecksConfig;
  #running: Running[] = [];
  #rules: RuleMemory[];
  #ruleTimer: ReturnType<typeof setTimeout> | undefined;
  #factsTimer: ReturnType<typeof setTimeout> | undefined;
  #nodeSinceMs: number;
  #told = "";
  /** Names of the rules in effect, as last told. */
  readonly #rulesTold = new Set<string>();
  #closed = false;
  readonly #underWay = new Set<Promise<void>>();
  readonly #alarms: Alarms;
  readonly #links: Links;
  readonly #processes: ProcessTable;

  constructor(config: ChecksConfig, readonly parts: HealthParts) {
    this.#config = config;
    this.#rules = config.rules.map(() => RULE_BEGIN);
    this.#alarms = new Alarms(() => parts.nowMs());
    this.#links = new Links(parts.watcher, () => parts.nowMs());
    this.#processes = new ProcessTable(() => parts.nowMs());
    this.#nodeSinceMs = parts.nowMs();
    this.#running = config.checks.map((check) => this.#create(check, !parts.assumeUp));
  }

  /** Takes up, before {@link start}, where another process of this node has stopped. */
  goOn({ checks, rules }: SavedHealth): void {
    const nowMs = this.parts.nowMs();
    for (const running of this.#running) {
      const { name, timing } = running.config;
      if (!Object.hasOwn(checks, name)) continue;
      running.memory = goOn(checks[name], timing, nowMs, this.parts.chance());
    }
    for (const [index, rule] of this.#config.rules.entries()) {
      if (!Object.hasOwn(rules, rule.name)) continue;
      this.#rules[index] = { heldSinceMs: Math.min(rules[rule.name], nowMs) };
      // Who went before has told of it.
      if (inEffectSinceMs(this.#rules[index], rule, nowMs) !== undefined) this.#rulesTold.add(rule.name);
    }
  }

  /** For the next process of this node. */
  toSave(): SavedHealth {
    const checks = this.#running.flatMap(({ config: { name }, memory }) => {
      const { state, sinceMs, holdsBack, last: { weight } = {} } = memory;
      if (state === "pending" && !holdsBack) return [];
      return [
        [name, { state, sinceMs: Math.round(sinceMs), ...(weight !== undefined && { weight }) }] as const,
      ];
    });
    const rules = this.#config.rules.flatMap(({ name }, index) => {
      const { heldSinceMs } = this.#rules[index];
      return heldSinceMs === undefined ? [] : [[name, Math.round(heldSinceMs)] as const];
    });
    return { checks: Object.fromEntries(checks), rules: Object.fromEntries(rules) };
  }

  /** Begins the first runs. */
  start(): void {
    for (const running of this.#running) this.#schedule(running);
    this.#judge();
  }

  /** Takes up checks and rules of a file that was read again. A check that keeps its name keeps its state. */
  reconfigure(config: ChecksConfig): void {
    const before = new Map(this.#running.map((running) => [running.config.name, running]));
    const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
    const kept = ({ name, target, timing }: CheckConfig) => {
      const old = before.get(name);
      return old !== undefined && same(old.config.target, target) && same(old.config.timing, timing)
        ? old
        : undefined;
    };
    const heldSince = new Map(this.#config.rules.map((rule, index) => [rule.when.text, this.#rules[index]]));
    const created = this.#createAll(config.checks.filter((check) => kept(check) === undefined));
    this.#running = config.checks.map((check) => {
      const old = before.get(check.name), fresh = created.get(check.name);
      if (fresh === undefined) {
        old!.config = check;
        return old!;
      }
      if (old === undefined) return fresh;
      const { dueMs } = begin(check.timing, this.parts.nowMs(), this.parts.chance(), false);
      return { ...fresh, memory: { ...old.memory, dueMs, streak: 0 } };
    });
    for (const old of before.values()) if (!this.#running.includes(old)) this.#end(old);
    this.#rules = config.rules.map(({ when }) => heldSince.get(when.text) ?? RULE_BEGIN);
    for (const { name } of this.#config.rules) {
      if (config.rules.every((rule) => rule.name !== name)) this.#rulesTold.delete(name);
    }
    this.#config = config;
    for (const running of this.#running) this.#schedule(running);
    this.#judge();
  }

  /** The application was started anew: checks that are down get their start delay and a new verdict. */
  applicationStarted(): void {
    for (const running of this.#running) {
      const { memory, config: { timing } } = running;
      running.memory = beginAnew(memory, timing, this.parts.nowMs(), this.parts.chance());
      if (running.memory !== memory) this.#schedule(running);
    }
    this.#judge();
  }

  /** Members or the node's state have changed: rules may name them, and are looked at soon. */
  factsChanged(): void {
    if (this.#config.rules.length === 0 || this.#closed) return;
    this.#factsTimer ??= setTimeout(() => {
      this.#factsTimer = undefined;
      this.#judge();
    }, FACTS_MS);
  }

  state(): HealthState {
    const { services, node: { sinceMs, ...node } } = this.#demands();
    return {
      checks: this.#running.map((running) => this.#status(running)),
      services,
      node: { ...node, since: this.#iso(sinceMs ?? this.#nodeSinceMs) },
    };
  }

  /** One check; undefined if there is none of this name. */
  check(name: string): CheckStatus | undefined {
    const running = this.#running.find(({ config }) => config.name === name);
    return running && this.#status(running);
  }

  /** Ends the checks; settles when no program of theirs is left. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#ruleTimer);
    clearTimeout(this.#factsTimer);
    for (const running of this.#running) this.#end(running);
    this.#links.close();
    this.#alarms.close();
    await Promise.all(this.#underWay);
  }

  /** By name. All or none: if one cannot be created, nothing has changed. */
  #createAll(checks: readonly CheckConfig[]): Map<string, Running> {
    const created = new Map<string, Running>();
    try {
      for (const check of checks) created.set(check.name, this.#create(check, false));
      return created;
    } catch (error) {
      for (const running of created.values()) this.#end(running);
      throw error;
    }
  }

  #create(config: CheckConfig, holdsBack: boolean): Running {
    const { parts } = this;
    return {
      config,
      memory: begin(config.timing, parts.nowMs(), parts.chance(), holdsBack),
      checker: createChecker(config.target, {
        node: parts.node,
        check: config.name,
        watcher: parts.watcher,
        links: this.#links,
        processes: this.#processes,
        interfaceName: (name) => parts.interfaceName(name),
        members: () => parts.members(),
        nowMs: () => parts.nowMs(),
        poke: () => this.#poke(config.name),
      }),
      poked: false,
      closed: false,
    };
  }

  #end(running: Running): void {
    running.closed = true;
    running.takeBack?.();
    running.abort?.abort();
    running.checker.close?.();
  }

  #schedule(running: Running): void {
    if (running.closed || running.abort !== undefined) return;
    running.takeBack?.();
    if (running.poked) return this.#begin(running);
    running.takeBack = this.#alarms.at(running.memory.dueMs, () => this.#begin(running));
  }

  #poke(name: string): void {
    const running = this.#running.find(({ config }) => config.name === name);
    if (running === undefined || running.closed) return;
    running.poked = true;
    if (running.abort !== undefined) return;
    running.takeBack?.();
    this.#begin(running);
  }

  #begin(running: Running): void {
    const run = this.#run(running);
    this.#underWay.add(run);
    void run.finally(() => this.#underWay.delete(run));
  }

  async #run(running: Running): Promise<void> {
    const { parts } = this;
    const { timeoutMs } = running.config.timing;
    const startedMs = parts.nowMs();
    const abort = running.abort = new AbortController();
    running.poked = false;
    const memory = running.memory;
    const takeBack = this.#alarms.at(startedMs + timeoutMs, () => abort.abort());
    let finding: Finding;
    try {
      finding = await running.checker.run({ signal: abort.signal, timeoutMs });
    } catch (error) {
      finding = {
        good: false,
        reason: abort.signal.aborted ? `no answer within ${timeoutMs} ms` : wordsOf(error),
      };
    }
    takeBack();
    running.abort = undefined;
    if (running.closed) return;
    // The application was started meanwhile: what was found before says nothing.
    if (running.memory !== memory) return this.#schedule(running);
    const nowMs = parts.nowMs();
    running.memory = afterRun(memory, running.config.timing, {
      startedMs,
      nowMs,
      finding,
      chance: parts.chance(),
    });
    this.#schedule(running);
    const { state, last } = running.memory;
    if (state === memory.state && last?.weight === memory.last?.weight) return;
    if (state !== memory.state && !(memory.state === "pending" && state === "up")) {
      parts.record(checkEvent(running.config, state, finding.reason, parts.node));
    }
    this.#judge();
  }

  /** Looks at the rules, and tells if anything has changed. */
  #judge(): void {
    if (this.#closed) return;
    const { parts } = this;
    const { rules } = this.#config;
    const nowMs = parts.nowMs();
    const facts: RuleFacts = {
      checks: Object.fromEntries(this.#running.map(({ config, memory }) => [config.name, memory.state])),
      farm: { members: parts.members() },
      node: { name: parts.node, state: parts.nodeState() },
    };
    let nextMs = Infinity;
    for (const [index, rule] of rules.entries()) {
      const before = this.#rules[index];
      const after = this.#rules[index] = lookAtRule(before, rule, facts, nowMs);
      nextMs = Math.min(nextMs, takesEffectMs(after, rule, nowMs) ?? Infinity);
    }
    clearTimeout(this.#ruleTimer);
    // Timers may be early by a part of a millisecond.
    if (nextMs < Infinity) this.#ruleTimer = setTimeout(() => this.#judge(), Math.ceil(nextMs - nowMs) + 1);
    this.#tell(nowMs);
  }

  #tell(nowMs: number): void {
    const inEffect = this.#config.rules.map((rule, index) =>
      inEffectSinceMs(this.#rules[index], rule, nowMs) !== undefined
    );
    const wanted = this.#demands();
    const told = JSON.stringify([this.#running.map(({ memory }) => memory.state), inEffect, wanted]);
    if (told === this.#told) return;
    this.#told = told;
    for (const [index, rule] of this.#config.rules.entries()) {
      const event = this.#rulesTold.has(rule.name) === inEffect[index]
        ? undefined
        : ruleEvent(rule, inEffect[index], this.parts.node);
      if (inEffect[index]) this.#rulesTold.add(rule.name);
      else this.#rulesTold.delete(rule.name);
      if (event !== undefined) this.parts.record(event);
    }
    this.parts.onChange(this.state());
  }

  #demands() {
    return demands(
      this.#config,
      this.#running.map(({ memory }) => memory),
      this.#rules,
      this.parts.nowMs(),
    );
  }

  #status({ config, memory }: Running): CheckStatus {
    return {
      name: config.name,
      kind: config.target.kind,
      services: config.services,
      state: memory.state,
      since: this.#iso(memory.sinceMs),
      reason: memory.last?.reason ?? "it has not run yet",
      ...(memory.lastDurationMs !== undefined && { lastDurationMs: memory.lastDurationMs }),
      action: config.onFailure,
      failures: memory.failures,
      runs: memory.runs,
      ...(memory.last?.output !== undefined && { output: memory.last.output }),
    };
  }

  #iso(atMs: number): string {
    return new Date(this.parts.wallMs() - (this.parts.nowMs() - atMs)).toISOString();
  }
}

/** An error as a reason, in one line. */
function wordsOf(error: unknown): string {
  if (error instanceof Deno.errors.ConnectionRefused) return "connection refused";
  if (error instanceof VipfarmError) {
    return oneLine(`${error.problem}${error.value ? ` (${error.value})` : ""}`);
  }
  return oneLine(messageOf(error));
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").slice(0, REASON_LENGTH_MAX);
}
