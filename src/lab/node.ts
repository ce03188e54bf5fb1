/** One node of the lab: its namespace, its service, and the real daemon as a process of its own. */

import { VipfarmError } from "../core/errors.ts";
import { vipfarmArgv } from "../host/program.ts";
import { type ApiAnswer, askDaemon } from "./api.ts";
import { lines } from "./lines.ts";
import type { LabNamespace } from "./namespace.ts";
import type { LabProcess } from "./process.ts";
import { labProgramArgv } from "./program.ts";
import { SERVICE_READY, type ServiceSettings } from "./service.ts";
import type { Station } from "./topology.ts";
import { waitFor } from "./wait.ts";

/** A daemon takes new flows well within this on an idle machine; a loaded one gets its time. */
const READY_TIMEOUT_MS = 30_000;
/** A clean stop takes no longer unless draining was asked for. */
const STOP_TIMEOUT_MS = 10_000;
/** End of the log that goes into an error message. */
const LOG_TAIL_LINES = 20;

/** What the lab needs to know about members in `GET /api/v1/farm`. */
export interface FarmMember {
  readonly name: string;
  readonly state: string;
  readonly reason?: string;
  readonly self: boolean;
  readonly weight: number;
  readonly shares: Readonly<Record<string, number>>;
}

/** What the lab needs of `GET /api/v1/farm`. */
export interface FarmView {
  readonly farm: string;
  readonly node: string;
  readonly health: string;
  readonly members: readonly FarmMember[];
}

/** Handle of one node. */
export class LabNode {
  readonly station: Station;
  readonly namespace: LabNamespace;
  /** Directory of this node: configuration, log, runtime directory. */
  readonly directory: string;
  readonly configPath: string;
  readonly runtimeDirectory: string;
  readonly logPath: string;
  /** The running daemon, if any. */
  daemon: LabProcess | undefined;
  service: LabProcess | undefined;

  constructor(station: Station, namespace: LabNamespace, directory: string) {
    this.station = station;
    this.namespace = namespace;
    this.directory = directory;
    this.configPath = `${directory}/farm.yaml`;
    this.runtimeDirectory = `${directory}/run`;
    this.logPath = `${directory}/daemon.log`;
  }

  get name(): string {
    return this.station.name;
  }

  /** Starts the daemon with this configuration; does not wait until it serves. */
  async startDaemon(
    configText: string,
    args: readonly string[] = [],
    env?: Record<string, string>,
    program: readonly string[] = vipfarmArgv(),
  ): Promise<void> {
    if (this.daemon?.running) {
      throw new VipfarmError({
        operation: "start the daemon",
        problem: "it is running already",
        value: this.name,
      });
    }
    await Deno.mkdir(this.runtimeDirectory, { recursive: true, mode: 0o700 });
    await Deno.writeTextFile(this.configPath, configText);
    const argv = [
      ...program,
      "run",
      "-c",
      this.configPath,
      "--node",
      this.name,
      "--runtime-dir",
      this.runtimeDirectory,
      ...args,
    ];
    this.daemon = this.namespace.spawn(argv, { logFile: this.logPath, env });
  }

  /** Waits until the daemon takes new flows (`/readyz`). @throws VipfarmError with the end of its log. */
  async ready(timeoutMs = READY_TIMEOUT_MS): Promise<void> {
    const daemon = this.daemon;
    try {
      await waitFor(
        async () => daemon?.running === false || (await this.ask("GET", "/readyz")).status === 200,
        timeoutMs,
        `${this.name} to take new flows`,
      );
    } catch (cause) {
      throw await this.#withLog("did not become ready", cause);
    }
    if (daemon?.running === false) throw await this.#withLog("ended while starting");
  }

  /** Asks the daemon by its socket. */
  ask(method: string, path: string, body?: unknown): Promise<ApiAnswer> {
    return askDaemon(`${this.runtimeDirectory}/admin.sock`, method, path, body);
  }

  /** Asks the daemon. @throws VipfarmError unless the answer is 2xx. */
  async api<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.ask(method, path, body);
    if (answer.status < 200 || answer.status > 299) {
      throw new VipfarmError({
        operation: `${method} ${path} on ${this.name}`,
        problem: `the answer was ${answer.status}`,
        value: typeof answer.body === "string" ? answer.body.slice(0, 200) : JSON.stringify(answer.body),
      });
    }
    return answer.body as T;
  }

  /** The farm as this node sees it. */
  farm(): Promise<FarmView> {
    return this.api<FarmView>("GET", "/api/v1/farm");
  }

  /** The owner that this node names for a client of a service. */
  async explain(client: string, port: number, service: string): Promise<{ bucket: number; owner?: string }> {
    const query = new URLSearchParams({ client, port: String(port), service });
    return await this.api("GET", `/api/v1/explain?${query}`);
  }

  /** SIGKILL to the daemon; gives the wall-clock time of the kill in ms. */
  async killDaemon(): Promise<number> {
    const atMs = performance.timeOrigin + performance.now();
    await this.daemon?.kill();
    this.daemon = undefined;
    return atMs;
  }

  /** SIGTERM to the daemon, and wait. @throws VipfarmError if it does not end or ends with an error. */
  async stopDaemon(timeoutMs = STOP_TIMEOUT_MS): Promise<void> {
    const daemon = this.daemon;
    if (daemon === undefined) return;
    daemon.signal("SIGTERM");
    const status = await daemon.ended(timeoutMs);
    this.daemon = undefined;
    if (status.code !== 0) throw await this.#withLog(`the daemon ended with code ${status.code}`);
  }

  /** Starts the small service that answers with the node's name, and waits until it listens. */
  async startService(settings: Omit<ServiceSettings, "name">): Promise<void> {
    if (this.service?.running) return;
    const argv = labProgramArgv("service", JSON.stringify({ ...settings, name: this.name }));
    const service = this.namespace.spawn(argv, { stdout: "piped", stderr: "inherit" });
    const timer = setTimeout(() => service.signal("SIGKILL"), READY_TIMEOUT_MS);
    const output = lines(service.child.stdout);
    const { value } = await output.next();
    clearTimeout(timer);
    await output.return(undefined);
    if (value !== SERVICE_READY) {
      await service.kill();
      throw new VipfarmError({
        operation: "start the service",
        problem: "it did not come up",
        value: this.name,
      });
    }
    this.service = service;
  }

  /** Kills the service: its port then refuses connections. */
  async stopService(): Promise<void> {
    await this.service?.kill();
    this.service = undefined;
  }

  /** The daemon's log so far; empty if there is none. */
  async log(): Promise<string> {
    try {
      return await Deno.readTextFile(this.logPath);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    }
  }

  async #withLog(problem: string, cause?: unknown): Promise<VipfarmError> {
    const tail = (await this.log()).trimEnd().split("\n").slice(-LOG_TAIL_LINES).join("\n");
    return new VipfarmError({
      operation: `run the daemon of ${this.name}`,
      problem,
      value: `end of its log:\n${tail || "(empty)"}`,
      cause,
    });
  }
}
