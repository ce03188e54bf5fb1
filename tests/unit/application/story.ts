/** Tells a story to the machine, and writes down what happens, a line for each input and effect. */
import { newMachine, nextTickMs, step } from "../../../src/application/machine.ts";
import { type Effect, type Input, type Machine, type Surroundings } from "../../../src/application/types.ts";

export const APPLICATION: Surroundings = {
  node: "n1",
  application: {
    recovery: { restarts: 3, withinMs: 600_000, backoffMs: 1_000, backoffMsMax: 60_000 },
    hasRestart: false,
  },
  drainMs: 250,
};

export class Story {
  readonly lines: string[] = [];
  machine: Machine = newMachine(0);
  nowMs = 0;

  constructor(public surroundings: Surroundings = APPLICATION) {}

  take(input: Input): this {
    const what = input.kind === "order"
      ? `order ${input.verb}`
      : input.kind === "scripts"
      ? input.problem === undefined ? "scripts done" : `scripts: ${input.problem}`
      : input.kind === "maintenance"
      ? `maintenance file ${input.present ? "there" : "gone"}`
      : input.kind === "health"
      ? "health"
      : input.kind;
    this.lines.push(`${this.nowMs} ms, ${what}`);
    const { machine, effects, answer } = step(this.machine, this.surroundings, this.nowMs, input);
    this.machine = machine;
    if (answer) this.lines.push(`    answer: ${answer.code}, ${answer.text}`);
    for (const effect of effects) this.lines.push(`    ${told(effect)}`);
    return this;
  }

  /** The scripts that were run last have ended. */
  scripts(problem?: string): this {
    return this.take({
      kind: "scripts",
      id: this.machine.scriptsRun,
      ...(problem !== undefined && { problem }),
    });
  }

  check(service: "none" | "leave" | "fail", application: "none" | "restart" | "stop" = "none"): this {
    const reason = service === "none" && application === "none"
      ? ""
      : "check web is down: connection refused";
    return this.take({
      kind: "health",
      services: { http: { demand: service, lastResort: false, check: "web", reason } },
      application: { demand: application, check: "web", reason },
    });
  }

  order(verb: Extract<Input, { kind: "order" }>["verb"]): this {
    return this.take({ kind: "order", verb });
  }

  /** Waits for the next moment that the machine waits for. */
  wait(): this {
    this.nowMs = nextTickMs(this.machine)!;
    return this.take({ kind: "tick" });
  }

  after(ms: number): this {
    this.nowMs += ms;
    return this;
  }

  get text(): string {
    return this.lines.join("\n");
  }
}

function told(effect: Effect): string {
  switch (effect.kind) {
    case "run":
      return `run ${effect.run}`;
    case "state":
      return `${effect.from} -> ${effect.to}: ${effect.reason}`;
    case "failure":
      return `failure: ${effect.problem}. ${effect.consequence}`.trimEnd();
    default:
      return effect.kind.replace("_", " ");
  }
}
