import assert from "node:assert/strict";
import { Lab } from "../../src/lab/lab.ts";
import { lines } from "../../src/lab/lines.ts";
import { labUnavailable } from "../../src/lab/privilege.ts";
import type { LabProcess } from "../../src/lab/process.ts";

const unavailable = await labUnavailable();
if (unavailable !== undefined) console.log(`skipped: ${unavailable}`);
const ignore = unavailable !== undefined;
const VIPS = ["10.86.70.100", "fd86:70::100"];
/** It ends at once; a loaded machine gets its time. */
const END_MS = 30_000;

/** Everything of a namespace that a daemon might change. */
async function snapshot(lab: Lab): Promise<string> {
  const commands = [
    "ip -o -d link",
    "ip -o address",
    "ip maddress",
    "ip route show table all",
    "ip -6 route show table all",
    "ip rule",
    "sysctl -a -r '^net[.]ipv[46][.](conf|neigh)[.]' | sort",
  ];
  return (await lab.run("n1", ["sh", "-c", commands.join("; echo; ")]))
    .replaceAll(/ (valid_lft|preferred_lft) \S+/g, "");
}

interface Running {
  readonly process: LabProcess;
  readonly report: { readonly undone: number; readonly changed: number };
  stop(): Promise<number>;
}

async function start(lab: Lab, vips = VIPS): Promise<Running> {
  const program = new URL("./host_program.ts", import.meta.url).pathname;
  const argv = [Deno.execPath(), "run", "-A", "--quiet", program, `${lab.directory}/run`, ...vips];
  const process = lab.spawn("n1", argv, { stdin: "piped", stdout: "piped", logFile: undefined });
  const output = lines(process.child.stdout);
  const { value } = await output.next();
  assert.ok(value !== undefined, "the program did not come up");
  await output.return(undefined);
  return {
    process,
    report: JSON.parse(value),
    stop: async () => {
      await process.child.stdin.close();
      return (await process.ended(END_MS)).code;
    },
  };
}

Deno.test(
  { name: "a clean stop leaves addresses, sysctls, memberships and devices as before", ignore },
  async () => {
    await using lab = await Lab.create({ nodes: 1 });
    const before = await snapshot(lab);
    const daemon = await start(lab);
    assert.ok(daemon.report.changed > 0);
    assert.notEqual(await snapshot(lab), before);
    assert.equal(await daemon.stop(), 0);
    assert.equal(await snapshot(lab), before);
    assert.deepEqual([...Deno.readDirSync(`${lab.directory}/run`)], []);
  },
);

Deno.test({
  name: "after SIGKILL the virtual IPs are gone, and the next clean stop restores the rest",
  ignore,
}, async () => {
  await using lab = await Lab.create({ nodes: 1 });
  const before = await snapshot(lab);
  const first = await start(lab);
  await first.process.kill();
  const crashed = await snapshot(lab);
  for (const vip of VIPS) assert.ok(!crashed.includes(` ${vip}/`), `${vip} is still there`);
  assert.ok(!crashed.includes("vf0"), "the TUN device is still there");
  assert.notEqual(crashed, before, "the sysctls of the crashed daemon wait for their undo");

  const second = await start(lab);
  assert.equal(second.report.undone, first.report.changed);
  assert.equal(await second.stop(), 0);
  assert.equal(await snapshot(lab), before);
});

Deno.test({
  name: "the VIPs stand on the TUN as single hosts, and the kernel keeps quiet about them",
  ignore,
}, async () => {
  await using lab = await Lab.create({ nodes: 2 });
  await lab.run("n1", ["sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1"]);
  const daemon = await start(lab);
  const addresses = await lab.run("n1", ["ip", "-o", "address", "show", "dev", "vf0"]);
  assert.deepEqual(
    [...addresses.matchAll(/inet6? (\S+)/g)].map((match) => match[1]),
    ["10.86.70.100/32", "fd86:70::100/128"],
    "and no link-local address",
  );
  const sysctl = async (name: string) => (await lab.run("n1", ["sysctl", "-n", name])).trim();
  assert.equal(await sysctl("net.ipv4.conf.vf0.rp_filter"), "2");
  assert.equal(await sysctl("net.ipv4.conf.eth0.arp_ignore"), "1");
  assert.equal(await sysctl("net.ipv4.conf.eth0.arp_announce"), "2");
  assert.equal(await sysctl("net.ipv6.conf.eth0.drop_unicast_in_l2_multicast"), "1");

  const arp = await lab.exec("n2", ["ping", "-n", "-c", "1", "-W", "1", "10.86.70.100"]);
  assert.notEqual(arp.code, 0, "the kernel answered ARP for the virtual IP");
  const nd = await lab.exec("n2", ["ping", "-n", "-c", "1", "-W", "1", "fd86:70::100"]);
  assert.notEqual(nd.code, 0, "the kernel answered neighbour discovery for the virtual IP");
  const own = await lab.exec("n2", ["ping", "-n", "-c", "1", "-W", "10", "10.86.70.1"]);
  assert.equal(own.code, 0, "the node's own address must still answer");
  assert.equal(await daemon.stop(), 0);
});

Deno.test({
  name: "settings that were right before are not touched, those changed by others since are left",
  ignore,
}, async () => {
  await using lab = await Lab.create({ nodes: 1 });
  await lab.run("n1", [
    "sysctl",
    "-qw",
    "net.ipv4.conf.eth0.arp_ignore=2",
    "net.ipv4.conf.all.arp_announce=2",
  ]);
  const daemon = await start(lab, ["10.86.70.100"]);
  const journal = JSON.parse(await Deno.readTextFile(`${lab.directory}/run/undo.json`));
  assert.deepEqual(journal.changes.map((change: { path: string }) => change.path), [
    "net/ipv4/conf/eth0/drop_unicast_in_l2_multicast",
  ]);
  await lab.run("n1", ["sysctl", "-qw", "net.ipv4.conf.eth0.drop_unicast_in_l2_multicast=0"]);
  assert.equal(await daemon.stop(), 0);
  assert.equal((await lab.run("n1", ["sysctl", "-n", "net.ipv4.conf.eth0.arp_ignore"])).trim(), "2");
});

Deno.test(
  { name: "a second daemon in the same runtime directory is refused and disturbs nothing", ignore },
  async () => {
    await using lab = await Lab.create({ nodes: 1 });
    const daemon = await start(lab);
    const during = await snapshot(lab);
    const program = new URL("./host_program.ts", import.meta.url).pathname;
    const second = await lab.exec("n1", [
      Deno.execPath(),
      "run",
      "-A",
      "--quiet",
      program,
      `${lab.directory}/run`,
      ...VIPS,
    ]);
    assert.notEqual(second.code, 0);
    assert.match(second.stderr, new RegExp(`running there already.*process ${daemon.process.pid}`));
    assert.equal(await snapshot(lab), during);
    assert.equal(await daemon.stop(), 0);
  },
);
