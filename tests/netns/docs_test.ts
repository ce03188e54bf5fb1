/**
 * The commands of the documentation, typed as they stand there, on a farm in network namespaces. Each node has a root
 * file system of its own above the host's, and its name as host name. The addresses of the documentation (RFC 5737 and 3849)
 * are the lab's here. `systemctl` runs the unit's own command lines.
 */
import assert from "node:assert/strict";
import { vipfarmArgv } from "../../src/host/program.ts";
import { Lab } from "../../src/lab/lab.ts";
import { labUnavailable } from "../../src/lab/privilege.ts";
import { type Command, commandsOf, isExpected, pages } from "../docs/blocks.ts";
import { ROOT } from "../unit/source_tree.ts";

const ignore = await labUnavailable() !== undefined;
/** A farm joins within seconds; a busy machine gets its time. */
const OUTPUT_TIMEOUT_MS = 30_000;
const LOOK_EVERY_MS = 300;

function toLab(text: string): string {
  return text.replaceAll("192.0.2.", "10.86.70.").replaceAll("2001:db8::", "fd86:70::");
}

function fromLab(text: string): string {
  return text.replaceAll("10.86.70.", "192.0.2.").replaceAll("fd86:70::", "2001:db8::");
}

/** A host of its own in a namespace of the lab: changes of /etc, /run and the like are seen by nobody else. */
class Host {
  private constructor(readonly lab: Lab, readonly namespace: string, readonly holder: number) {}

  static async start(lab: Lab, namespace: string, bin: string): Promise<Host> {
    const own = `${lab.directory}/${namespace}-root`;
    const overlays = ["etc", "srv", "var/lib"].map((name) => {
      const [upper, work] = [`${own}/${name}/upper`, `${own}/${name}/work`];
      return `mkdir -p ${upper} ${work}; mount -t overlay overlay -o lowerdir=/${name},upperdir=${upper},workdir=${work} /${name}`;
    });
    const script = [
      "set -e",
      `hostname ${namespace}`,
      ...overlays,
      "mount -t tmpfs tmpfs /run",
      `echo $$ >${own}/pid`,
      `touch ${own}/ready`,
      "exec sleep infinity",
    ].join("\n");
    await Deno.mkdir(own);
    const holder = lab.spawn(namespace, [
      "unshare",
      "--mount",
      "--uts",
      "--propagation",
      "private",
      "sh",
      "-c",
      script,
    ], {
      env: { PATH: `${bin}:${Deno.env.get("PATH")}` },
    });
    await lab.waitFor(
      () => Deno.stat(`${own}/ready`).then(() => true, () => false),
      10_000,
      `${namespace}'s file system`,
    );
    return new Host(lab, namespace, holder.pid);
  }

  /** Types a command; gives what it says on both streams. */
  async type(command: string, bin: string): Promise<{ code: number; text: string }> {
    const { code, stdout } = await this.lab.exec(this.namespace, [
      "nsenter",
      `--target=${this.holder}`,
      "--mount",
      "--uts",
      "--wd=/srv",
      "bash",
      "-c",
      // Both streams in one, in the order in which a terminal would show them.
      `exec 2>&1\n${command}`,
    ], {
      env: {
        PATH: `${bin}:${Deno.env.get("PATH")}:/usr/sbin:/sbin`,
        NO_COLOR: "1",
        VIPFARM_DOCS_HOSTS: this.lab.directory,
        VIPFARM_UNIT_FILE: `${ROOT}config/systemd/vipfarm.service`,
      },
    });
    return { code, text: stdout };
  }
}

/** The programs that the documentation calls and that this machine has not. */
async function programs(directory: string): Promise<string> {
  const bin = `${directory}/bin`;
  await Deno.mkdir(bin);
  await Deno.writeTextFile(`${bin}/vipfarm`, `#!/bin/sh\nexec ${vipfarmArgv().join(" ")} "$@"\n`, {
    mode: 0o755,
  });
  for (const name of ["systemctl", "scp"]) {
    await Deno.copyFile(`${ROOT}tests/docs/${name}.sh`, `${bin}/${name}`);
    await Deno.chmod(`${bin}/${name}`, 0o755);
  }
  return bin;
}

async function follow(host: Host, bin: string, place: string, { text, output }: Command): Promise<void> {
  const deadlineMs = performance.now() + OUTPUT_TIMEOUT_MS;
  for (;;) {
    const { code, text: came } = await host.type(toLab(text), bin);
    const said = fromLab(came);
    // A command whose output is shown may say no, as `check` and `preflight` do; any other must succeed.
    if (output.length === 0 ? code === 0 : isExpected(said, output)) return;
    if (output.length === 0 || performance.now() > deadlineMs) {
      assert.fail(`${place}: ${host.namespace}: ${text} ended with ${code} and said:\n${said}`);
    }
    await new Promise((next) => setTimeout(next, LOOK_EVERY_MS));
  }
}

for (const { name, blocks } of pages()) {
  const consoles = blocks.filter(({ language, notRun }) => language === "console" && notRun === undefined);
  if (consoles.length === 0) continue;
  Deno.test({ name: `the commands of ${name}`, ignore }, async () => {
    await using lab = await Lab.create({ nodes: 3, clients: 1 });
    const bin = await programs(lab.directory);
    const hosts = new Map<string, Host>();
    for (const [where, namespace] of [["n1", "n1"], ["n2", "n2"], ["n3", "n3"], ["client", "c1"]]) {
      hosts.set(where, await Host.start(lab, namespace, bin));
    }
    for (const block of consoles) {
      for (const command of commandsOf(block)) {
        await follow(hosts.get(command.where)!, bin, block.place, command);
      }
    }
  });
}
