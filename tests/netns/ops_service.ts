/**
 * A node's daemon as the unit config/systemd/vipfarm.service runs it: its user, its capabilities, a service manager's
 * socket, and a `systemctl` that knows one job. The program is seen in a mount namespace of its own, since an ordinary
 * user may not look into the directories of whoever runs the tests.
 */

import assert from "node:assert/strict";
import type { Lab } from "../../src/lab/lab.ts";
import type { LabNode } from "../../src/lab/node.ts";
import { searchPath } from "../../src/lab/process.ts";
import { FakeServiceManager } from "../unix_datagrams.ts";
import { runArgv } from "./farm_support.ts";

const UNIT = await Deno.readTextFile(new URL("../../config/systemd/vipfarm.service", import.meta.url));
const REPOSITORY = new URL("../../", import.meta.url).pathname.replace(/\/$/, "");
/** Nobody: has no rights beyond those given. */
const USER = 65_534;
/** Where the program is seen by that user. */
const PLACES = { deno: "/mnt/deno", cache: "/mnt/cache", repository: "/mnt/repository" };

/** A setting of the unit. */
export function unitSetting(name: string): string {
  const value = new RegExp(`^${name}=(.*)$`, "m").exec(UNIT)?.[1];
  assert.ok(value !== undefined, `the unit does not set ${name}`);
  return value;
}

/** One node as a service. */
export class NodeService implements Disposable {
  readonly manager: FakeServiceManager;
  readonly #jobsPath: string;
  readonly #argv: readonly string[];

  private constructor(readonly lab: Lab, readonly node: LabNode) {
    const { directory } = node;
    this.manager = new FakeServiceManager(`${directory}/notify`);
    this.#jobsPath = `${directory}/jobs`;
    this.#argv = serviceArgv(node);
  }

  /** Prepares directories and files as package and unit do. */
  static async create(lab: Lab, which: number): Promise<NodeService> {
    const node = lab.node(which);
    const { directory, runtimeDirectory } = node;
    const service = new NodeService(lab, node);
    // systemctl(1) --plain list-jobs prints: id, unit, type, state.
    await Deno.mkdir(`${directory}/bin`);
    await Deno.writeTextFile(`${directory}/bin/systemctl`, `#!/bin/sh\ncat ${service.#jobsPath}\n`, {
      mode: 0o755,
    });
    await Deno.writeTextFile(node.configPath, lab.configText());
    await Deno.mkdir(runtimeDirectory, { mode: 0o750 });
    await Deno.chmod(lab.directory, 0o711);
    await Deno.chmod(directory, 0o755);
    for (const path of [runtimeDirectory, `${lab.directory}/secret`]) await Deno.chown(path, USER, USER);
    return service;
  }

  /** Starts it; does not wait. */
  start(): void {
    const { directory, logPath } = this.node;
    this.node.daemon = this.lab.spawn(this.node.name, this.#argv, {
      logFile: logPath,
      env: {
        PATH: `${directory}/bin:${searchPath()}`,
        DENO_DIR: PLACES.cache,
        NOTIFY_SOCKET: `${directory}/notify`,
        WATCHDOG_USEC: "15000000",
        VIPFARM_UNIT: "vipfarm.service",
      },
    });
  }

  /** `systemctl stop` or `restart`, up to the end of the daemon. Gives its exit code. */
  async end(job: "stop" | "restart"): Promise<number> {
    await Deno.writeTextFile(
      this.#jobsPath,
      `17 other.service start waiting\n18 vipfarm.service ${job} running\n`,
    );
    const { daemon } = this.node;
    assert.ok(daemon);
    daemon.signal("SIGTERM");
    const { code } = await daemon.ended(20_000);
    this.node.daemon = undefined;
    return code;
  }

  [Symbol.dispose](): void {
    this.manager[Symbol.dispose]();
  }
}

/** The user and capabilities of the unit, by setpriv(1). */
function serviceArgv(node: LabNode): string[] {
  const capabilities = unitSetting("AmbientCapabilities").split(" ")
    .map((name) => `+${name.replace("CAP_", "").toLowerCase()}`).join(",");
  assert.equal(unitSetting("CapabilityBoundingSet"), unitSetting("AmbientCapabilities"));
  const run = runArgv(node).map((argument) =>
    argument === Deno.execPath() ? `${PLACES.deno}/${argument.replace(/^.*\//, "")}` : seen(argument)
  );
  const script = [
    "set -e",
    "mount -t tmpfs none /mnt",
    ...Object.values(PLACES).map((place) => `mkdir ${place}`),
    // Where no udev runs it is root's alone.
    "mknod -m 666 /mnt/tun c 10 200",
    "mount --bind /mnt/tun /dev/net/tun",
    `mount --bind ${Deno.execPath().replace(/\/[^/]*$/, "")} ${PLACES.deno}`,
    `mount --bind ${denoDirectory()} ${PLACES.cache}`,
    `mount --bind ${REPOSITORY} ${PLACES.repository}`,
    `cd /`,
    // Where this needs CAP_SYS_RESOURCE and nobody has it, heartbeats run as an ordinary thread.
    `ulimit -r ${unitSetting("LimitRTPRIO")} 2>/dev/null || true`,
    `exec setpriv --reuid=${USER} --regid=${USER} --clear-groups --inh-caps=-all,${capabilities} ` +
    `--ambient-caps=-all,${capabilities} --bounding-set=-all,${capabilities} --no-new-privs -- "$@"`,
  ];
  return [
    "unshare",
    "--mount",
    "--propagation",
    "private",
    "bash",
    "-c",
    script.join("\n"),
    "service",
    ...run,
  ];
}

function seen(path: string): string {
  return path.startsWith(`${REPOSITORY}/`) ? path.replace(REPOSITORY, PLACES.repository) : path;
}

function denoDirectory(): string {
  const home = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`;
  return Deno.env.get("DENO_DIR") ?? `${home}/deno`;
}
