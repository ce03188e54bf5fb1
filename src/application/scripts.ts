/**
 * The administrator's scripts, in the order that a start, a stop or a restart takes, with what they may rely on:
 *
 *   start: prestart, start       stop: stop, poststop       restart: restart
 *
 * Each gets VIPFARM_SCRIPT, VIPFARM_NODE, VIPFARM_FARM, VIPFARM_VIRTUAL_IPS, VIPFARM_STATE (where the node is),
 * VIPFARM_NEXT_STATE (where it goes if all is well) and VIPFARM_REASON; stop has VIPFARM_STOP too. An exit status of 0
 * is success. A systemd unit stands for start, stop and restart.
 */
import { messageOf } from "../core/errors.ts";
import { type ApplicationConfig, type Command, type ScriptName } from "../config/application_config.ts";
import { type ProgramResult, runProgram } from "../host/run_program.ts";
import { userByName } from "../host/user.ts";
import { type NodeState } from "./states.ts";
import { type Scripts } from "./types.ts";

/** What scripts are told about this node, whatever they do. */
export interface Place {
  readonly node: string;
  readonly farm: string;
  readonly virtualIps: readonly string[];
}

/** Why scripts run. */
export interface Occasion {
  readonly state: NodeState;
  readonly nextState: NodeState;
  readonly reason: string;
}

/** How a sequence ended: well, or with a problem in words, the script's own among them. */
export interface Outcome {
  readonly problem?: string;
  readonly output?: readonly string[];
}

/** Lines of a script that go into a sentence about it; the event's details have all that were kept. */
const WORDS_LINES_MAX = 3;
const WORDS_LENGTH_MAX = 400;
const SYSTEMCTL = "systemctl";
/** systemctl says to look at the unit's status and journal: this is what is there. */
const UNIT_LINES = 10;

/**
 * Runs one sequence to its end, or to the first script that fails. One that is called off goes no further: the
 * application is somebody else's now, or nobody's. `hurried` only cuts a graceful stop short, which is then forced.
 */
export async function runScripts(
  config: ApplicationConfig,
  place: Place,
  run: Scripts,
  occasion: Occasion,
  calledOff: AbortSignal,
  hurried: AbortSignal,
): Promise<Outcome> {
  const runner = new Runner(config, place, occasion, calledOff);
  switch (run) {
    case "start": {
      const prepared = await runner.script("prestart");
      return prepared.problem === undefined ? await runner.step("start") : prepared;
    }
    case "restart":
      return await runner.step("restart");
    case "stop": {
      const gracefully = new Runner(config, place, occasion, AbortSignal.any([calledOff, hurried]));
      const graceful = await gracefully.step("stop", { VIPFARM_STOP: "graceful" });
      const stopped = graceful.problem === undefined ? graceful : await runner.force(graceful);
      const after = await runner.script("poststop");
      return stopped.problem === undefined ? after : stopped;
    }
  }
}

/** The script that is told of a change of state. */
export async function runTransition(
  config: ApplicationConfig,
  place: Place,
  occasion: Occasion,
  calledOff: AbortSignal,
): Promise<Outcome> {
  return await new Runner(config, place, occasion, calledOff).script("transition");
}

class Runner {
  constructor(
    readonly config: ApplicationConfig,
    readonly place: Place,
    readonly occasion: Occasion,
    readonly calledOff: AbortSignal,
  ) {}

  /** Start, stop or restart, by script or by systemd. */
  async step(name: "start" | "stop" | "restart", env: Record<string, string> = {}): Promise<Outcome> {
    const { systemdUnit } = this.config;
    return systemdUnit === undefined
      ? await this.script(name, env)
      : await this.#systemd(name, [SYSTEMCTL, name, systemdUnit]);
  }

  /** Once more, and not gracefully. */
  async force(graceful: Outcome): Promise<Outcome> {
    const { systemdUnit } = this.config;
    const forced = systemdUnit === undefined
      ? await this.script("stop", { VIPFARM_STOP: "forced" })
      : await this.#systemd("kill", [SYSTEMCTL, "kill", "--signal=KILL", systemdUnit]);
    return forced.problem === undefined
      ? forced
      : { ...forced, problem: `${graceful.problem}; forced: ${forced.problem}` };
  }

  /** One script; one that is not configured is well. */
  async script(name: ScriptName, env: Record<string, string> = {}): Promise<Outcome> {
    const command = this.config.scripts[name];
    return command === undefined
      ? {}
      : judge(name, await this.#run(command, { VIPFARM_SCRIPT: name, ...env }));
  }

  async #systemd(name: string, command: Command): Promise<Outcome> {
    const outcome = judge(`systemctl ${name} ${this.config.systemdUnit}`, await this.#run(command, {}));
    if (outcome.problem === undefined) return outcome;
    const lines = `--lines=${UNIT_LINES}`;
    const status = await this.#run([SYSTEMCTL, "status", "--no-pager", lines, this.config.systemdUnit!], {});
    return { ...outcome, output: [...outcome.output ?? [], ...status.output] };
  }

  async #run(argv: Command, more: Record<string, string>): Promise<ProgramResult> {
    const { node, farm, virtualIps } = this.place;
    const { state, nextState, reason } = this.occasion;
    try {
      return await runProgram({
        argv,
        env: {
          VIPFARM_NODE: node,
          VIPFARM_FARM: farm,
          VIPFARM_VIRTUAL_IPS: virtualIps.join(" "),
          VIPFARM_STATE: state,
          VIPFARM_NEXT_STATE: nextState,
          VIPFARM_REASON: reason,
          ...more,
        },
        timeoutMs: this.config.timeoutMs,
        // A daemon that it started is what the script is for.
        leftBehind: "leave",
        ...(this.config.user !== undefined && { user: await userByName(this.config.user) }),
      }, this.calledOff);
    } catch (error) {
      const how = `could not be started: ${messageOf(error)}`;
      return { outcome: "not_started", how, output: [], durationMs: 0 };
    }
  }
}

function judge(name: string, { outcome, code, how, output }: ProgramResult): Outcome {
  if (outcome === "exited" && code === 0) return { output };
  const words = output.slice(-WORDS_LINES_MAX).join(" / ").slice(-WORDS_LENGTH_MAX);
  return { problem: words === "" ? `${name} ${how}` : `${name} ${how}: ${words}`, output };
}
