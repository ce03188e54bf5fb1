/**
 * The life of this node's application: the machine of `machine.ts` with a clock, scripts, and a memory for the process
 * that comes after this one.
 */
import { type ApplicationConfig } from "../config/application_config.ts";
import { type FarmEventInit } from "../core/events.ts";
import { newMachine, nextTickMs, step } from "./machine.ts";
import { type Occasion, type Place, runScripts, runTransition } from "./scripts.ts";
import { type NodeState, runs } from "./states.ts";
import {
  type Effect,
  type Input,
  type Machine,
  type OrderAnswer,
  type OrderVerb,
  type Scripts,
} from "./types.ts";

/** What the file says that matters here. */
export interface ApplicationSettings {
  readonly application: ApplicationConfig | undefined;
  /** Time for connections to end before an ordered stop or restart. */
  readonly drainMs: number;
}

export interface ApplicationParts {
  readonly place: Place;
  readonly settings: ApplicationSettings;
  /** A clock that processes of one boot share, in ms. */
  nowMs(): number;
  /** For the next process of this node; `handed`: it goes on while this one ends. */
  remember(machine: Machine, handed: boolean): void;
  /** The node has left the farm: the next process starts anew. */
  forget(): void;
  record(event: FarmEventInit): void;
  /** Settles when no connection is left, at the deadline, or soon after it is called off. */
  drained(deadlineMs: number, calledOff: AbortSignal): Promise<void>;
  /** The application was started: checks begin anew. */
  started(): void;
  /** The machine is another one. */
  changed(): void;
}

/** Where each sequence leads if all is well. */
const NEXT_STATE: Readonly<Record<Scripts, NodeState>> = { start: "up", restart: "up", stop: "stopped" };
const SEVERITY: Partial<Record<NodeState, FarmEventInit["severity"]>> = {
  failed: "error",
  waiting: "warning",
};
/** Transitions whose script waits for the one before: a node that changes faster than its script has lost its way. */
const TRANSITIONS_WAITING_MAX = 16;

export class Application {
  #settings: ApplicationSettings;
  #machine: Machine;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: { readonly calledOff: AbortController; readonly ended: Promise<void> } | undefined;
  /** Calls off the waiting for the end of connections: it may take hours, and a later order may end the need. */
  #draining: AbortController | undefined;
  readonly #closed = new AbortController();
  #transitions: Promise<unknown> = Promise.resolve();
  #transitionsWaiting = 0;
  #frozen = false;
  #leaving = false;
  readonly #hurried = new AbortController();
  /** Who waits until the application rests. */
  #waiting: Array<() => void> = [];

  constructor(readonly parts: ApplicationParts) {
    this.#settings = parts.settings;
    this.#machine = newMachine(parts.nowMs());
  }

  get machine(): Machine {
    return this.#machine;
  }

  /** There is none to look after. */
  get isNone(): boolean {
    return this.#settings.application === undefined;
  }

  /** Takes up what is known before {@link boot}, or where another process has got to, before {@link adopt}. */
  restore(machine: Machine): void {
    this.#machine = machine;
  }

  /** Starts as a node that has just come up. */
  boot(): void {
    this.take({ kind: "boot" });
  }

  /** Goes on. */
  adopt(): void {
    this.take({ kind: "adopt" });
  }

  /** Stops acting: another process of this node goes on, or this one, after {@link thaw}. */
  freeze(): void {
    this.#frozen = true;
    clearTimeout(this.#timer);
    this.#draining?.abort();
    this.#running?.calledOff.abort();
    this.parts.remember(this.#machine, true);
  }

  thaw(): void {
    if (!this.#frozen) return;
    this.#frozen = false;
    this.parts.remember(this.#machine, false);
    this.adopt();
  }

  /** Whoever gives an order to a node that leaves would see nothing of it, or keep the node from leaving. */
  obey(verb: OrderVerb): OrderAnswer {
    if (this.#leaving) return { code: "refused", text: "this node is leaving the farm" };
    return this.take({ kind: "order", verb }) ?? { code: "refused", text: "this node is being replaced" };
  }

  configure(settings: ApplicationSettings): void {
    this.#settings = settings;
    this.take({ kind: "configured" });
  }

  /** Stops the application, since the node leaves; `hurry` cuts a graceful stop short. */
  async leave(hurry: Promise<void>): Promise<void> {
    this.#leaving = true;
    void hurry.then(() => this.#hurried.abort());
    this.take({ kind: "leave" });
    if (!this.#isResting()) await new Promise<void>((rest) => this.#waiting.push(rest));
    this.parts.forget();
  }

  close(): void {
    this.#frozen = true;
    clearTimeout(this.#timer);
    this.#draining?.abort();
    this.#closed.abort();
  }

  /** One step. Nothing is taken while frozen. */
  take(input: Input): OrderAnswer | undefined {
    if (this.#frozen) return undefined;
    const { application, drainMs } = this.#settings;
    const surroundings = {
      node: this.parts.place.node,
      drainMs,
      ...(application && {
        application: {
          recovery: application.recovery,
          hasRestart: application.scripts.restart !== undefined || application.systemdUnit !== undefined,
        },
      }),
    };
    const before = this.#machine;
    const { machine, effects, answer } = step(before, surroundings, this.parts.nowMs(), input);
    this.#machine = machine;
    if (machine.job !== before.job) this.#draining?.abort();
    for (const effect of effects) this.#do(effect);
    this.#setTimer();
    if (machine !== before) {
      // What an effect has led to may have gone a step further.
      this.parts.remember(this.#machine, false);
      this.parts.changed();
    }
    if (this.#isResting()) { for (const rest of this.#waiting.splice(0)) rest(); }
    return answer;
  }

  #isResting(): boolean {
    const { state } = this.#machine;
    return this.#settings.application === undefined || state === "stopped" || state === "failed";
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    const atMs = nextTickMs(this.#machine);
    if (atMs === undefined) return;
    this.#timer = setTimeout(
      () => this.take({ kind: "tick" }),
      Math.max(0, Math.ceil(atMs - this.parts.nowMs())),
    );
  }

  #do(effect: Effect): void {
    const { node } = this.parts.place;
    switch (effect.kind) {
      case "run":
        return void this.#run(effect.run, effect.id);
      case "call_off":
        return this.#running?.calledOff.abort();
      case "await_drained":
        return void this.#awaitDrained();
      case "started":
        return this.parts.started();
      case "state": {
        const { from, to, reason } = effect;
        // A node without an application has not started one: that it is up is no news.
        if (this.isNone && (to === "starting" || (to === "up" && !runs(from)))) return;
        this.parts.record({
          severity: SEVERITY[to] ?? "info",
          kind: `state.${to}`,
          message: `${node} is ${to}: ${reason}.`,
          node,
          details: { from, to, reason },
        });
        return void this.#tellTransition({ state: from, nextState: to, reason });
      }
      case "failure": {
        const { problem, consequence, output } = effect;
        return this.parts.record({
          severity: "warning",
          kind: "application.failed",
          message: `The application of ${node} failed: ${problem}. ${consequence}`.trimEnd(),
          node,
          details: { problem, ...(output && { output }) },
        });
      }
    }
  }

  async #awaitDrained(): Promise<void> {
    const { job } = this.#machine;
    if (job?.kind !== "drain") return;
    const { signal } = this.#draining = new AbortController();
    await this.parts.drained(job.untilMs, signal);
    if (!signal.aborted) this.take({ kind: "drained" });
  }

  /** Scripts run one sequence at a time: what ran before is called off first. */
  async #run(run: Scripts, id: number): Promise<void> {
    const { application } = this.#settings;
    if (application === undefined) return;
    const before = this.#running;
    const calledOff = new AbortController();
    const { state, reason } = this.#machine;
    const running = async () => {
      before?.calledOff.abort();
      await before?.ended;
      const occasion = { state, nextState: NEXT_STATE[run], reason };
      const outcome = await runScripts(
        application,
        this.parts.place,
        run,
        occasion,
        calledOff.signal,
        this.#hurried.signal,
      );
      this.take({ kind: "scripts", id, ...outcome });
    };
    this.#running = { calledOff, ended: running() };
    await this.#running.ended;
  }

  async #tellTransition(occasion: Occasion): Promise<void> {
    const { application } = this.#settings;
    if (
      application?.scripts.transition === undefined || this.#transitionsWaiting >= TRANSITIONS_WAITING_MAX
    ) return;
    this.#transitionsWaiting++;
    const before = this.#transitions;
    const running = async () => {
      await before;
      const { problem, output } = await runTransition(
        application,
        this.parts.place,
        occasion,
        this.#closed.signal,
      );
      this.#transitionsWaiting--;
      if (problem === undefined) return;
      this.parts.record({
        severity: "warning",
        kind: "application.transition_failed",
        message: `The transition script of ${this.parts.place.node} failed: ${problem}.`,
        node: this.parts.place.node,
        details: { output },
      });
    };
    await (this.#transitions = running());
  }
}
