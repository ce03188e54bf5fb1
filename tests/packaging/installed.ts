/**
 * `deno task package:test`: the package on a fresh Debian. Makes a root file system (debootstrap), installs the built file and
 * nothing else, makes a farm of three nodes from it by the unit's own command line, user and capabilities, carries traffic,
 * upgrades under traffic, removes and purges. Needs root, debootstrap and a Debian mirror; some two minutes.
 *
 * There is no systemd in it: a stand-in for systemctl, which only says what it was told, shows what the maintainer scripts ask for.
 */
import assert from "node:assert/strict";
import { makeDebianPackage } from "../../packaging/debian_package.ts";
import { packProgram } from "../../packaging/program.ts";
import { run } from "../../packaging/tools.ts";
import { Lab, LAB_PORTS } from "../../src/lab/lab.ts";
import type { Answer } from "../../src/lab/client_protocol.ts";
import type { LabNode } from "../../src/lab/node.ts";
import { VERSION } from "../../src/version.ts";

const SUITE = "bookworm";
const NODES = ["n1", "n2", "n3"];
const NEXT_VERSION = `${VERSION}+next`;
/** Says to the stand-in for systemctl that the service runs. */
const ACTIVE_FILE = "/etc/vipfarm.active";
const START_TIMEOUT_MS = 60_000;

interface Unit {
  readonly user: string;
  readonly capabilities: readonly string[];
  readonly command: string;
}

/** What systemd would start, and as whom. */
function readUnit(text: string): Unit {
  const value = (key: string) => new RegExp(`^${key}=(.*)$`, "m").exec(text)?.[1] ?? "";
  return {
    user: value("User"),
    capabilities: value("AmbientCapabilities").split(" ").map((name) =>
      name.replace(/^CAP_/, "").toLowerCase()
    ),
    command: value("ExecStart"),
  };
}

function step(text: string): void {
  console.log(`- ${text}`);
}

async function build(directory: string, version: string): Promise<string> {
  const output = `${directory}/${version}`;
  const program = await packProgram(`${output}/build`);
  return (await makeDebianPackage({ ...program, version }, `${output}/build`, output, "fast")).file;
}

/** A root file system with nothing in it but Debian's required packages. */
class FreshDebian {
  readonly root: string;

  constructor(directory: string) {
    this.root = `${directory}/root`;
  }

  async make(): Promise<void> {
    // The base is kept beside the other files that Debian's tools cache: the second run takes seconds.
    const base = `/var/cache/vipfarm-package-test/${SUITE}`;
    if (!(await Deno.stat(`${base}/etc/debian_version`).then(() => true, () => false))) {
      await run(["debootstrap", "--variant=minbase", SUITE, base]);
    }
    await run(["cp", "-a", base, this.root]);
    await Deno.writeTextFile(
      `${this.root}/usr/local/bin/systemctl`,
      `#!/bin/sh
case " $* " in
  *" is-active "*) test -e ${ACTIVE_FILE} ;;
  *" is-enabled "*) echo enabled ;;
  *) echo "systemctl $*" >>/var/log/systemctl.log ;;
esac
`,
      { mode: 0o755 },
    );
    await Deno.mkdir(`${this.root}/run/systemd/system`, { recursive: true });
  }

  run(...argv: string[]): Promise<string> {
    const script = `mount -t proc proc ${this.root}/proc; mount --rbind /dev ${this.root}/dev
      exec chroot ${this.root} env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"`;
    return run(["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh", ...argv]);
  }

  async install(file: string): Promise<void> {
    await Deno.copyFile(file, `${this.root}/vipfarm.deb`);
    await this.run("dpkg", "--install", "/vipfarm.deb");
    await Deno.remove(`${this.root}/vipfarm.deb`);
  }

  /** What the maintainer scripts have asked of systemd since the last time. */
  async asked(): Promise<string> {
    const log = `${this.root}/var/log/systemctl.log`;
    const text = await Deno.readTextFile(log).catch(() => "");
    await Deno.writeTextFile(log, "");
    return text;
  }
}

/** The argument vector that runs a node's command on the file system, in its own place for what a node writes. */
function onNode(debian: FreshDebian, unit: Unit, node: string, command: string): string[] {
  const capabilities = unit.capabilities.map((name) => `+${name}`).join(",");
  const script = [
    "set -e",
    `mount --rbind /dev ${debian.root}/dev`,
    `mount -t proc proc ${debian.root}/proc`,
    `mount -t tmpfs tmpfs ${debian.root}/run`,
    `mkdir -p ${debian.root}/run/vipfarm ${debian.root}/var/lib/vipfarm`,
    `mount -t tmpfs tmpfs ${debian.root}/var/lib/vipfarm`,
    `mkdir -p /tmp/${node}`,
    // What systemd would make for it: RuntimeDirectory, StateDirectory.
    `mount --bind "$1" ${debian.root}/run/vipfarm`,
    `chroot ${debian.root} chown ${unit.user}: /run/vipfarm /var/lib/vipfarm`,
    `exec chroot ${debian.root} setpriv --reuid=${unit.user} --regid=${unit.user} --clear-groups --no-new-privs ` +
    `--inh-caps=-all,${capabilities} --ambient-caps=-all,${capabilities} --bounding-set=-all,${capabilities} ` +
    `env -i PATH=/usr/bin:/bin VIPFARM_NODE=${node} ${command}`,
  ].join("\n");
  return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"];
}

async function main(): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "vf-installed-" });
  await Deno.chmod(directory, 0o755);
  const debian = new FreshDebian(directory);
  try {
    step("building two versions of the package");
    const [first, second] = [await build(directory, VERSION), await build(directory, NEXT_VERSION)];
    step(`a fresh ${SUITE}`);
    await debian.make();

    step("it installs from the file alone");
    await debian.install(first);
    assert.match(await debian.run("getent", "passwd", "vipfarm"), /\/usr\/sbin\/nologin\n$/);
    assert.equal(await debian.run("stat", "--format=%U:%G %a", "/etc/vipfarm"), "root:vipfarm 750\n");
    assert.match(await debian.run("vipfarm", "version"), new RegExp(`^vipfarm ${VERSION} `));
    assert.match(await debian.asked(), /daemon-reload\n(.*\n)*systemctl .*start vipfarm\.service/);

    await Deno.writeTextFile(`${debian.root}${ACTIVE_FILE}`, "");
    await withFarm(debian, async (lab) => {
      step("three nodes of it answer, as an unprivileged user");
      await checkTraffic(lab);
      step("an upgrade replaces the program, and breaks none of the connections meanwhile");
      await upgrade(debian, lab, second);
    });

    step("it is removed, and purged");
    await Deno.remove(`${debian.root}${ACTIVE_FILE}`);
    await debian.run("dpkg", "--remove", "vipfarm");
    assert.match(await debian.asked(), /stop vipfarm\.service[\s\S]*daemon-reload/);
    assert.equal(
      await debian.run("sh", "-c", "ls /usr/bin/vipfarm /usr/lib/vipfarm 2>/dev/null || true"),
      "",
    );
    assert.equal(await debian.run("sh", "-c", "ls /etc/vipfarm"), "secret\nvipfarm.yaml\n");
    await debian.run("dpkg", "--purge", "vipfarm");
    assert.equal(await debian.run("sh", "-c", "ls -d /etc/vipfarm /var/lib/vipfarm 2>/dev/null || true"), "");
    assert.equal(await debian.run("sh", "-c", "getent passwd vipfarm || true"), "");
    assert.equal(await debian.run("sh", "-c", "find / -xdev -name '*vipfarm*' 2>/dev/null || true"), "");
    console.log("The package holds.");
  } finally {
    await run(["rm", "-rf", "--one-file-system", directory]);
  }
}

async function withFarm(debian: FreshDebian, body: (lab: Lab) => Promise<void>): Promise<void> {
  const unit = readUnit(await Deno.readTextFile(`${debian.root}/lib/systemd/system/vipfarm.service`));
  await using lab = await Lab.create({ nodes: NODES.length, clients: 1 });
  const service = `http=${LAB_PORTS.http}`;
  await debian.run(
    ...[
      "vipfarm",
      "init",
      "--interface",
      "eth0",
      "--vip",
      lab.virtualIps.ipv4[0],
      "--service",
      service,
      "--no-ask",
    ],
    ...["--output", "/etc/vipfarm/vipfarm.yaml"],
  );
  assert.equal(await debian.run("stat", "--format=%U %a", "/etc/vipfarm/secret"), "vipfarm 600\n");
  await lab.startServices();
  for (const node of lab.nodes) {
    await Deno.mkdir(node.runtimeDirectory, { recursive: true });
    const argv = [...onNode(debian, unit, node.name, unit.command), node.runtimeDirectory];
    node.daemon = lab.spawn(node.name, argv, { logFile: node.logPath });
  }
  for (const node of lab.nodes) await node.ready(START_TIMEOUT_MS);
  await lab.waitForMembers(NODES);
  await lab.clients[0].start();
  for (const node of lab.nodes) {
    const pid = Deno.readTextFileSync(`${node.runtimeDirectory}/worker.pid`).trim();
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    assert.notEqual(/^Uid:\s+(\d+)/m.exec(status)?.[1], "0", "the worker is not root");
  }
  await body(lab);
  for (const node of lab.nodes) await node.stopDaemon();
}

async function checkTraffic(lab: Lab): Promise<void> {
  const answers = await lab.clients[0].request({
    protocol: "tcp",
    address: lab.virtualIps.ipv4[0],
    port: LAB_PORTS.http,
    count: 300,
  });
  assert.deepEqual(answers.filter(({ error }) => error !== undefined), []);
  assert.deepEqual([...new Set(answers.map(({ node }) => node))].sort(), NODES);
}

async function upgrade(debian: FreshDebian, lab: Lab, file: string): Promise<void> {
  const worker = (node: LabNode) => Deno.readTextFileSync(`${node.runtimeDirectory}/worker.pid`);
  const opened = await lab.clients[0].open({
    protocol: "tcp",
    address: lab.virtualIps.ipv4[0],
    port: LAB_PORTS.http,
    count: 60,
  });
  assert.deepEqual(opened.filter(({ error }) => error !== undefined), []);
  await debian.install(file);
  assert.match(await debian.asked(), /kill --kill-whom=main --signal=USR2 vipfarm\.service/);
  // What systemd would do then: a signal to the main process of each node.
  for (const node of lab.nodes) {
    const before = worker(node);
    Deno.kill(Number(Deno.readTextFileSync(`${node.runtimeDirectory}/daemon.pid`)), "SIGUSR2");
    await lab.waitFor(
      () => Promise.resolve(worker(node) !== before),
      START_TIMEOUT_MS,
      `${node.name}'s new program`,
    );
    await checkTraffic(lab);
  }
  const asked = await lab.clients[0].ask();
  assert.deepEqual(asked.filter(({ error }) => error !== undefined), []);
  const served = (answers: readonly Answer[]) => answers.map(({ port, node }) => `${port} by ${node}`).sort();
  assert.deepEqual(served(asked), served(opened));
}

if (import.meta.main) await main();
