/**
 * One network namespace, held by one small process and by nothing else: no name in /run/netns, no mount. When the
 * holder ends, for whatever reason, the namespace goes with its last process, and so do its devices.
 */

import { VipfarmError } from "../core/errors.ts";
import {
  type CommandOptions,
  type CommandResult,
  inNamespace,
  LabProcess,
  runChecked,
  runCommand,
  type SpawnOptions,
  spawnProcess,
} from "./process.ts";
import { killProcessesBeside } from "./sweep.ts";

/**
 * Settings of every namespace, before the first interface appears: no duplicate address detection (addresses work
 * at once), no router solicitations, no automatic link-local noise beyond what IPv6 needs.
 */
const BASE_SYSCTLS: Readonly<Record<string, string>> = {
  "net/ipv6/conf/default/accept_dad": "0",
  "net/ipv6/conf/all/accept_dad": "0",
  "net/ipv6/conf/default/dad_transmits": "0",
  "net/ipv6/conf/default/router_solicitations": "0",
  "net/ipv6/conf/default/accept_ra": "0",
};

/** A namespace that may take longer than this to appear has a problem that waiting does not solve. */
const READY_TIMEOUT_MS = 10_000;

/** A network namespace of a lab. */
export class LabNamespace {
  readonly name: string;
  /** `/proc/PID/ns/net` of the holder, for nsenter(1) and setns(2). */
  readonly path: string;
  readonly holder: LabProcess;
  readonly #labId: string;
  readonly #spawned: LabProcess[] = [];

  private constructor(name: string, labId: string, holder: LabProcess) {
    this.name = name;
    this.holder = holder;
    this.path = `/proc/${holder.pid}/ns/net`;
    this.#labId = labId;
  }

  /**
   * Makes a namespace with the loopback up and the sysctls set.
   * @throws VipfarmError with what unshare(1) or ip(8) said.
   */
  static async create(
    name: string,
    labId: string,
    sysctls: Readonly<Record<string, string>> = {},
  ): Promise<LabNamespace> {
    const settings = Object.entries({ ...BASE_SYSCTLS, ...sysctls })
      .map(([path, value]) => `echo ${value} >/proc/sys/${path}`);
    const script = ["set -e", ...settings, "ip link set lo up", "echo ready", "exec sleep infinity"].join(
      "\n",
    );
    const holder = spawnProcess(labId, ["unshare", "--net", "sh", "-c", script], {
      stdout: "piped",
      stderr: "piped",
    });
    const timer = setTimeout(() => holder.signal("SIGKILL"), READY_TIMEOUT_MS);
    try {
      const reader = holder.child.stdout.getReader();
      const { done } = await reader.read();
      reader.releaseLock();
      if (done) {
        const said = await new Response(holder.child.stderr).text();
        throw new VipfarmError({
          operation: "make a network namespace",
          problem: said.trim() || "its holder ended at once",
          value: name,
        });
      }
    } catch (error) {
      await holder.kill();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    return new LabNamespace(name, labId, holder);
  }

  /** Runs a command here to its end, whatever its exit code. */
  exec(argv: readonly string[], options?: CommandOptions): Promise<CommandResult> {
    return runCommand(this.#labId, inNamespace(this.path, argv), options);
  }

  /** Runs a command here. @throws VipfarmError if its exit code is not 0. */
  run(argv: readonly string[], options?: CommandOptions): Promise<CommandResult> {
    return runChecked(this.#labId, inNamespace(this.path, argv), options);
  }

  /** Starts a process here that stays until it ends or the lab does. */
  spawn(argv: readonly string[], options?: SpawnOptions): LabProcess {
    const process = spawnProcess(this.#labId, inNamespace(this.path, argv), options);
    this.#spawned.push(process);
    return process;
  }

  /** Runs many ip(8) commands in one process. Each line is one command without the word `ip`. */
  async ip(lines: readonly string[]): Promise<void> {
    await this.run(["ip", "-batch", "-"], { input: lines.join("\n") + "\n" });
  }

  /** Kills what was started here and what else lives here, then the holder: the namespace is gone afterwards. */
  async dispose(): Promise<void> {
    await Promise.all(this.#spawned.map((process) => process.kill()));
    // One that is about to be killed may still start another.
    while (this.holder.running && (await killProcessesBeside(this.holder.pid)).length > 0) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await this.holder.kill();
  }
}
