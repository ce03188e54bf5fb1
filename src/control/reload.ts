/** A configuration that is read again: what of it a running daemon can take up, and taking it up. */
import { type FarmConfig } from "../config/load.ts";
import { messageOf } from "../core/errors.ts";
import { type FarmEventInit } from "../core/events.ts";
import { type AnswerCode } from "../wire/heartbeat.ts";

/**
 * The keys of the file that differ and need a restart of the daemon. Empty: everything that differs can be applied
 * at once, see {@link changedSettings}.
 */
export function needsRestart(running: FarmConfig, next: FarmConfig): string[] {
  return differing(fixedParts(running), fixedParts(next));
}

/** The keys of the file that differ and can be taken up at once. */
export function changedSettings(running: FarmConfig, next: FarmConfig): string[] {
  return differing(movableParts(running), movableParts(next));
}

/** What cannot change while the daemon runs, under the names that the file uses. */
export function fixedParts(config: FarmConfig): Record<string, unknown> {
  const { virtualIps, services, heartbeat, nodes } = config;
  return {
    farm: config.farm,
    secret_file: config.secretFile,
    interface: config.interface,
    virtual_ips: virtualIps.map(({ address, mode, interface: name }) => [address.text, mode, name]),
    services: services.map(({ name, virtualIps, protocol, ports, affinity, flowTimeoutMs }) => [
      name,
      virtualIps.map(({ text }) => text),
      protocol,
      ports,
      affinity,
      flowTimeoutMs,
    ]),
    uncovered: config.uncovered,
    heartbeat: { ...heartbeat, groups: [heartbeat.groups.ipv4?.text, heartbeat.groups.ipv6.text] },
    nodes: Object.entries(nodes).flatMap(([name, each]) =>
      each.interface === undefined ? [] : [name, each.interface]
    ),
    quorum: [config.quorum, config.quorum.kind === "off" ? [] : Object.keys(nodes)],
    datapath: config.datapath,
    admin: config.admin,
    state_dir: config.stateDir,
  };
}

/** What can change while the daemon runs, each setting under its path in the file. */
function movableParts(config: FarmConfig): Record<string, unknown> {
  const nodes = Object.entries(config.nodes).flatMap(([node, { weight, services }]) => [
    [`nodes.${node}`, true],
    [`nodes.${node}.weight`, weight],
    ...Object.entries(services).map(([service, each]) => [
      `nodes.${node}.services.${service}.weight`,
      each.weight,
    ]),
  ]);
  return {
    drain_on_stop: config.drainOnStopMs,
    application: config.application,
    notify: config.notify,
    maintenance_file: config.maintenanceFile,
    ...Object.fromEntries(config.checks.checks.map((check) => [`checks.${check.name}`, check])),
    rules: config.checks.rules,
    ...Object.fromEntries(config.services.map(({ name, weight }) => [`services.${name}.weight`, weight])),
    ...Object.fromEntries(nodes),
  };
}

function differing(before: Record<string, unknown>, after: Record<string, unknown>): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]));
}

/** Why a reload is refused; who ordered it knows the remedy by it. */
type Refusal = Extract<AnswerCode, "refused" | "file_has_errors" | "needs_restart">;

/** What became of a reload. `text` travels in a heartbeat, which cuts it. */
export interface Reloaded {
  readonly code: "done" | Refusal;
  readonly text: string;
}

export interface ReloaderParts {
  /** Reads and checks the file again, and tells its problems; undefined if there is an error. */
  reread(): Promise<FarmConfig | undefined>;
  /** In order; each takes up what is its own. One that throws is given the former configuration again. */
  readonly takers: ReadonlyArray<(config: FarmConfig) => void>;
  record(event: FarmEventInit): void;
}

/** Takes up the file as it is now: all of it, or nothing. */
export class Reloader {
  #config: FarmConfig;
  #last: Promise<unknown> = Promise.resolve();
  #refused: Reloaded | undefined;

  constructor(config: FarmConfig, readonly parts: ReloaderParts) {
    this.#config = config;
  }

  /** The configuration that runs. */
  get config(): FarmConfig {
    return this.#config;
  }

  /** Why the file, as it was when it was last read again, is not the one that runs. */
  get refused(): Reloaded | undefined {
    return this.#refused;
  }

  /** One after the other: each answer is about the file as it was when it was read. */
  reload(): Promise<Reloaded> {
    return this.#inTurn(() => this.#reload(true));
  }

  /**
   * After a process in whose place this one goes on: that one may have taken the file up again since this one has read it.
   * Where nothing has changed, nothing is told.
   */
  catchUp(): Promise<Reloaded> {
    return this.#inTurn(() => this.#reload(false));
  }

  #inTurn(reload: () => Promise<Reloaded>): Promise<Reloaded> {
    const next = this.#last.then(reload).catch((error) => this.#refuse(messageOf(error)));
    this.#last = next;
    return next;
  }

  async #reload(isAskedFor: boolean): Promise<Reloaded> {
    const next = await this.parts.reread();
    if (next === undefined) return this.#refuse("the file has errors", "file_has_errors");
    const restart = needsRestart(this.#config, next);
    if (restart.length > 0) return this.#refuse(`needs a restart: ${restart.join(", ")}`, "needs_restart");
    const changed = changedSettings(this.#config, next);
    const text = changed.length === 0 ? "nothing has changed" : `changed: ${changed.join(", ")}`;
    if (changed.length === 0 && !isAskedFor) return this.#done(text);
    const problem = this.#take(next);
    if (problem !== undefined) return this.#refuse(problem);
    this.parts.record({
      severity: "info",
      kind: "config.reloaded",
      message: `The configuration was read again; ${text}.`,
      details: { changed, digest: next.digest },
    });
    return this.#done(text);
  }

  #done(text: string): Reloaded {
    this.#refused = undefined;
    return { code: "done", text };
  }

  /** Gives the new configuration to everybody; if one cannot take it, the former one again, to that one too. */
  #take(next: FarmConfig): string | undefined {
    for (const [index, take] of this.parts.takers.entries()) {
      try {
        take(next);
      } catch (error) {
        const problems = [messageOf(error)];
        for (const again of this.parts.takers.slice(0, index + 1)) {
          try {
            again(this.#config);
          } catch (worse) {
            problems.push(`the former configuration was not taken up again: ${messageOf(worse)}`);
          }
        }
        return problems.join("; ");
      }
    }
    this.#config = next;
    return undefined;
  }

  #refuse(text: string, code: Refusal = "refused"): Reloaded {
    this.parts.record({
      severity: "error",
      kind: "config.not_reloaded",
      message: `The configuration stays as it was: ${text}.`,
    });
    return this.#refused = { code, text };
  }
}
