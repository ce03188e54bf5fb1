/**
 * The life of a node's application as a pure function: (machine, now, input) -> machine and effects. Orders, verdicts of
 * checks, results of scripts and the maintenance file come in; what comes out is what to run, and what to tell.
 *
 * A job is what is under way: at most one, and a new one takes the place of the old. The machine is plain data, so that
 * the next process of this node can go on with it.
 */
import { afterFailure } from "./recovery.ts";
import { type NodeState, runs, TRANSITIONS } from "./states.ts";
import {
  type AfterStop,
  type Effect,
  type Input,
  type Job,
  type Machine,
  type OrderAnswer,
  type OrderVerb,
  type ServiceDemand,
  type Step,
  type Surroundings,
} from "./types.ts";

/** The machine of a node that nothing has happened to. */
export function newMachine(nowMs: number): Machine {
  return {
    state: "stopped",
    sinceMs: nowMs,
    reason: "the node has not started",
    scriptsRun: 0,
    drained: false,
    maintenance: false,
    attempts: [],
    services: {},
    demand: { demand: "none", reason: "" },
  };
}

/** When a `tick` is due; undefined: no time is waited for. */
export function nextTickMs({ job }: Machine): number | undefined {
  return job?.kind === "drain" ? job.untilMs : job?.kind === "pause" ? job.atMs : undefined;
}

/** One step. */
export function step(machine: Machine, surroundings: Surroundings, nowMs: number, input: Input): Step {
  const stepper = new Stepper(machine, surroundings, nowMs);
  const answer = input.kind === "order" ? stepper.obey(input.verb) : stepper.hear(input);
  return { machine: stepper.machine, effects: stepper.effects, ...(answer && { answer }) };
}

const done = (text: string): OrderAnswer => ({ code: "done", text });
const unchanged = (text: string): OrderAnswer => ({ code: "unchanged", text });

class Stepper {
  readonly effects: Effect[] = [];

  constructor(public machine: Machine, readonly surroundings: Surroundings, readonly nowMs: number) {}

  hear(input: Exclude<Input, { kind: "order" }>): undefined {
    switch (input.kind) {
      case "boot":
        return this.#begin("the node starts");
      case "adopt":
        return this.#adopt();
      case "maintenance":
        this.#set({ maintenance: input.present });
        return this.#settle();
      case "health":
        this.#set({ services: input.services, demand: input.application });
        return this.#settle();
      case "scripts":
        return this.#ended(input);
      case "drained":
        return this.#afterDrain();
      case "configured":
        return this.#configured();
      case "leave":
        return this.#leave();
      case "tick":
        return this.#tick();
    }
  }

  #set(change: Partial<Machine>): undefined {
    this.machine = { ...this.machine, ...change };
  }

  /** The only place where the state changes. */
  #go(to: NodeState, reason: string): undefined {
    const { state: from } = this.machine;
    if (from === to) return this.#set({ reason });
    if (!TRANSITIONS[from].includes(to)) throw new Error(`no way leads from ${from} to ${to}`);
    this.#set({ state: to, sinceMs: this.nowMs, reason });
    this.effects.push({ kind: "state", from, to, reason });
  }

  // ---- starting ----

  #begin(reason: string): undefined {
    this.#go("starting", reason);
    this.#attempt("start");
  }

  #attempt(run: "start" | "restart"): undefined {
    if (this.surroundings.application === undefined) {
      this.#set({ job: undefined });
      return this.#settle(true);
    }
    this.#run({ kind: "scripts", run, id: this.machine.scriptsRun + 1 });
  }

  #run(job: Extract<Job, { kind: "scripts" }>): undefined {
    this.#set({ job, scriptsRun: job.id });
    this.effects.push({ kind: "run", run: job.run, id: job.id });
  }

  /**
   * The state that a running application leaves the node in, or what checks ask for: they do so once, so it is done
   * whenever nothing stands against it any more. Whoever has drained the node is at work on it: nothing is restarted
   * or stopped under their hands.
   */
  #settle(started = false): undefined {
    const { state, drained, maintenance, services, demand, job } = this.machine;
    const { node, application } = this.surroundings;
    if (!(started || runs(state)) || job !== undefined) return;
    if (drained || maintenance) {
      const byHand = `drained by hand: \`vipfarm resume ${node}\` ends it`;
      return this.#go("draining", drained ? byHand : "drained by the maintenance file, until it is removed");
    }
    if (application !== undefined && demand.demand === "restart") return this.#failed(demand.reason, true);
    if (application !== undefined && demand.demand === "stop") {
      const reason = `${demand.reason}; it stays stopped until an order starts it`;
      this.effects.push({ kind: "failure", problem: demand.reason, consequence: "It is stopped." });
      return this.#stop({ to: "stopped" }, reason);
    }
    const held = Object.entries(services).filter(([, { demand }]) => demand !== "none");
    const all = Object.keys(services).length;
    if (all > 0 && held.length === all) return this.#go("waiting", heldBack(held));
    this.#go(
      "up",
      held.length === 0 ? "takes its share" : `takes its share of what is not held back: ${heldBack(held)}`,
    );
  }

  // ---- failing ----

  #failed(problem: string, running: boolean, output?: readonly string[]): undefined {
    const { recovery, hasRestart } = this.surroundings.application!;
    const verdict = afterFailure(recovery, this.machine.attempts, this.nowMs);
    const tell = (consequence: string) =>
      this.effects.push({ kind: "failure", problem, consequence, ...(output && { output }) });
    if (verdict.kind === "give_up") {
      const within = `${recovery.withinMs / 1_000} s`;
      const reason = verdict.restarts === 0
        ? `${problem}; it is never restarted`
        : `${problem}, after ${times(verdict.restarts)} within ${within}`;
      tell("It is given up: an order (start, restart or resume) tries again.");
      this.#set({ attempts: [] });
      if (running) return this.#stop({ to: "failed", reason }, reason);
      this.#set({ job: undefined });
      return this.#go("failed", reason);
    }
    const { number, atMs, attempts } = verdict;
    this.#set({ attempts });
    const waitMs = atMs - this.nowMs;
    tell(
      `Restart ${number} of ${recovery.restarts} comes ${
        waitMs === 0 ? "at once" : `in ${waitMs / 1_000} s`
      }.`,
    );
    const reason = `restart ${number} of ${recovery.restarts}: ${problem}`;
    if (running && !hasRestart) return this.#stop({ to: "start", atMs }, reason);
    this.#go("starting", reason);
    this.#pause(running ? "restart" : "start", atMs);
  }

  #pause(run: "start" | "restart", atMs: number): undefined {
    if (atMs <= this.nowMs) return this.#attempt(run);
    this.#set({ job: { kind: "pause", run, atMs } });
  }

  // ---- stopping ----

  #stop(then: AfterStop, reason: string): undefined {
    this.#go("stopping", reason);
    this.#run({ kind: "scripts", run: "stop", id: this.machine.scriptsRun + 1, then });
  }

  /** Stops or restarts by order: connections have their time first. */
  #drainThen(then: "stop" | "restart"): undefined {
    const reason = `connections may end before its ${then}, by order`;
    this.#set({ job: { kind: "drain", then, untilMs: this.nowMs + this.surroundings.drainMs } });
    this.#go("draining", reason);
    this.effects.push({ kind: "await_drained" });
  }

  #afterDrain(): undefined {
    const { job } = this.machine;
    if (job?.kind !== "drain") return;
    this.#set({ job: undefined });
    if (job.then === "stop") return this.#stop({ to: "stopped" }, "by order");
    if (!this.surroundings.application!.hasRestart) {
      return this.#stop({ to: "start", atMs: this.nowMs }, "restarts by order");
    }
    this.#go("starting", "restarts by order");
    this.#attempt("restart");
  }

  // ---- what comes in ----

  #ended({ id, problem, output }: Extract<Input, { kind: "scripts" }>): undefined {
    const { job } = this.machine;
    if (job?.kind !== "scripts" || job.id !== id) return;
    this.#set({ job: undefined });
    if (job.run !== "stop") {
      if (problem !== undefined) return this.#failed(problem, false, output);
      this.#set({ demand: { demand: "none", reason: "" } });
      this.effects.push({ kind: "started" });
      return this.#settle(true);
    }
    const { then } = job;
    if (problem !== undefined) {
      const consequence = then.to === "start" ? "It is started all the same." : "";
      this.effects.push({ kind: "failure", problem, consequence, ...(output && { output }) });
    }
    if (then.to === "start") {
      this.#go("starting", this.machine.reason);
      return this.#pause("start", then.atMs);
    }
    if (then.to === "failed") return this.#go("failed", then.reason);
    if (problem !== undefined) return this.#go("failed", `it could not be stopped: ${problem}`);
    this.#go("stopped", this.machine.reason);
  }

  #tick(): undefined {
    const { job } = this.machine;
    if (job?.kind === "drain" && this.nowMs >= job.untilMs) return this.#afterDrain();
    if (job?.kind === "pause" && this.nowMs >= job.atMs) this.#attempt(job.run);
  }

  /** The scripts of the process before are called off already: what was under way begins anew. */
  #adopt(): undefined {
    const { job, state } = this.machine;
    if (job?.kind === "scripts") this.#run({ ...job, id: this.machine.scriptsRun + 1 });
    else if (job?.kind === "drain") this.effects.push({ kind: "await_drained" });
    else if (state === "stopped" && this.surroundings.application === undefined) {
      this.#begin("the node starts");
    } else this.#settle();
  }

  #configured(): undefined {
    const { state, job } = this.machine;
    if (this.surroundings.application !== undefined) return this.#settle();
    // What is under way belongs to an application that is no longer this node's business.
    if (job?.kind === "scripts") this.effects.push({ kind: "call_off" });
    this.#set({ job: undefined, attempts: [] });
    if (!runs(state)) {
      this.#go("starting", "no application is configured any more");
      this.#settle(true);
    } else this.#settle();
  }

  #leave(): undefined {
    const { state, job } = this.machine;
    if (this.surroundings.application === undefined || state === "stopped" || state === "failed") return;
    if (job?.kind === "scripts" && job.run === "stop") {
      return this.#set({ job: { ...job, then: { to: "stopped" } } });
    }
    this.#stop({ to: "stopped" }, "the node leaves the farm");
  }

  // ---- orders ----

  obey(verb: OrderVerb): OrderAnswer {
    if (verb === "drain") return this.#drain();
    if (verb === "resume") return this.#resume();
    if (this.surroundings.application === undefined) {
      return { code: "no_application", text: "no application is configured" };
    }
    this.#set({ attempts: [] });
    if (verb === "stop") return this.#orderedStop();
    return verb === "start" ? this.#orderedStart() : this.#orderedRestart();
  }

  #drain(): OrderAnswer {
    if (this.machine.drained) return unchanged("was draining already");
    this.#set({ drained: true });
    this.#settle();
    return done("drain begun");
  }

  #resume(): OrderAnswer {
    const { drained, maintenance, state } = this.machine;
    this.#set({ drained: false, attempts: [] });
    if (state === "failed") this.#begin("by order, after it had failed");
    else if (!drained) {
      return unchanged(maintenance ? "was drained by the maintenance file only" : "was not draining");
    } else this.#settle();
    return done(maintenance ? "resumed, but for the maintenance file" : "resume begun");
  }

  #orderedStart(): OrderAnswer {
    const { state, job } = this.machine;
    if (job?.kind === "pause") this.#attempt(job.run);
    else if (job?.kind === "drain") this.#set({ job: undefined });
    else if (job?.kind === "scripts" && job.run === "stop") {
      this.#set({ job: { ...job, then: { to: "start", atMs: this.nowMs } } });
    } else if (state === "stopped" || state === "failed") this.#begin("by order");
    else return unchanged(state === "starting" ? "was starting already" : "was running already");
    this.#settle();
    return done("start begun");
  }

  #orderedStop(): OrderAnswer {
    const { state, job } = this.machine;
    if (state === "stopped") return unchanged("was stopped already");
    if (job?.kind === "drain" && job.then === "stop") return unchanged("was stopping already");
    if (job?.kind === "scripts" && job.run === "stop") {
      if (job.then.to === "stopped") return unchanged("was stopping already");
      this.#set({ job: { ...job, then: { to: "stopped" } }, reason: "by order" });
    } else if (runs(state)) this.#drainThen("stop");
    else this.#stop({ to: "stopped" }, "by order");
    return done("stop begun");
  }

  #orderedRestart(): OrderAnswer {
    const { state, job } = this.machine;
    if (!runs(state)) return this.#orderedStart();
    if (job?.kind === "drain" && job.then === "restart") return unchanged("was restarting already");
    this.#drainThen("restart");
    return done("restart begun");
  }
}

/** Which services are held back, and by what. */
function heldBack(held: ReadonlyArray<[string, ServiceDemand]>): string {
  const reasons = Map.groupBy(held, ([, { reason }]) => reason);
  return [...reasons].map(([reason, services]) =>
    `${services.map(([service]) => service).join(", ")} held back, since ${reason}`
  ).join("; ");
}

function times(restarts: number): string {
  return restarts === 1 ? "1 restart" : `${restarts} restarts`;
}
