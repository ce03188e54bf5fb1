import assert from "node:assert/strict";
import { Lab, LAB_PORTS } from "../../src/lab/lab.ts";
import { labUnavailable } from "../../src/lab/privilege.ts";
import { killProcessesOf } from "../../src/lab/sweep.ts";

const unavailable = await labUnavailable();
if (unavailable !== undefined) console.log(`skipped: ${unavailable}`);
const ignore = unavailable !== undefined;
/** All of it happens at once; a loaded machine gets its time. */
const WAIT_MS = 20_000;

Deno.test({
  name: "clients reach every node's service by TCP and UDP, IPv4 and IPv6, from chosen sources",
  ignore,
}, async () => {
  await using lab = await Lab.create({ nodes: 2, clients: 1, addressesPerClient: 4 });
  await lab.startServices();
  const client = lab.clients[0];
  for (const node of lab.nodes) {
    for (const protocol of ["tcp", "udp"] as const) {
      for (const family of ["ipv4", "ipv6"] as const) {
        const addresses = client.station[`${family}All`];
        const sources = addresses.map((address, i) => ({ address, port: 20_000 + i }));
        const port = LAB_PORTS[protocol === "tcp" ? "http" : "echo"];
        const answers = await client.request({
          protocol,
          address: node.station[family],
          port,
          count: 4,
          sources,
        });
        assert.deepEqual(answers.map((answer) => answer.error ?? answer.node), Array(4).fill(node.name));
        assert.deepEqual(answers.map(({ address, port }) => ({ address, port })), sources);
      }
    }
  }
});

Deno.test({ name: "open connections stay and answer again until their service ends", ignore }, async () => {
  await using lab = await Lab.create({ nodes: 1 });
  await lab.startServices();
  const client = lab.clients[0];
  const target = { protocol: "tcp", address: lab.node(1).station.ipv4, port: LAB_PORTS.http } as const;
  const opened = await client.open({ ...target, count: 5 });
  const again = await client.ask();
  assert.deepEqual(again.map((answer) => answer.port), opened.map((answer) => answer.port));
  assert.ok(again.every((answer) => answer.node === "n1"));
  await lab.node(1).stopService();
  assert.ok((await client.ask()).every((answer) => answer.error !== undefined));
  await client.closeAll();
  assert.deepEqual(await client.ask(), []);
});

Deno.test({ name: "cuts take one direction, one pair, or the whole cable, and heal", ignore }, async () => {
  await using lab = await Lab.create({ nodes: 3 });
  const ping = async (from: string, to: number) => {
    const argv = ["ping", "-n", "-c", "1", "-W", "1", lab.node(to).station.ipv4];
    return (await lab.exec(from, argv)).code === 0;
  };
  const reaches = (from: string, to: number) =>
    lab.waitFor(() => ping(from, to), WAIT_MS, `n${to} to answer ${from}`);
  const received = async (node: string) => {
    const text = await lab.run(node, ["cat", "/proc/net/snmp"]);
    return Number(/^Icmp: \d+ \d+ \d+ \d+ \d+ \d+ \d+ \d+ (\d+)/m.exec(text)?.[1]);
  };
  await reaches("n1", 2);
  await lab.cut("n2", "out");
  const before = await received("n2");
  assert.ok(!await ping("n1", 2));
  assert.ok(await received("n2") > before, "what is sent to n2 still arrives");
  await lab.heal("n2");
  await reaches("n1", 2);

  await lab.cutBetween("n1", "n2");
  assert.ok(!await ping("n1", 2));
  await reaches("n1", 3);
  await lab.heal();

  await lab.unplug("n2");
  assert.ok(!await ping("n1", 2));
  await lab.unplug("n2", false);
  await reaches("n1", 2);
});

Deno.test({ name: "a capture shows the frames of the wire", ignore }, async () => {
  await using lab = await Lab.create({ nodes: 2 });
  const capture = await lab.capture("n2", "eth0", "icmp");
  await lab.run("n1", ["ping", "-n", "-c", "2", "-i", "0.01", lab.node(2).station.ipv4]);
  // tcpdump may still be reading: what it has not read when it is stopped is not in the file.
  const lines = await lab.waitFor(
    async () => {
      const lines = await capture.lines();
      return lines.length >= 4 && lines;
    },
    WAIT_MS,
    "both requests and both replies to be in the file",
  );
  await capture.stop();
  assert.deepEqual(await capture.lines(), lines);
  assert.equal(lines.length, 4, lines.join("\n"));
  assert.equal((await capture.lines("icmp[icmptype] == icmp-echo")).length, 2);
});

Deno.test({ name: "nothing is left after a lab, nor after one whose making failed", ignore }, async () => {
  const links = await new Deno.Command("ip", { args: ["-o", "link"] }).output();
  const lab = await Lab.create({ nodes: 2 });
  await lab.startServices();
  // A process that left its parent behind: only its environment tells where it belongs.
  await lab.run("n1", ["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 &"]);
  // A daemon that has cleared its environment, too: only the network namespace tells.
  const script = "env -i setsid sleep 1000 >/dev/null 2>&1 & echo $!";
  const pid = (await lab.run("n1", ["sh", "-c", script])).trim();
  await lab.waitFor(
    () => Deno.readTextFileSync(`/proc/${pid}/comm`).trim() === "sleep",
    WAIT_MS,
    "the daemon to run",
  );
  assert.equal(Deno.readTextFileSync(`/proc/${pid}/environ`), "");
  const { id, directory } = lab;
  await lab.dispose();
  await assert.rejects(Deno.readLink(`/proc/${pid}/ns/net`), "the daemon has outlived the lab");
  assert.deepEqual(await killProcessesOf(id), []);
  await assert.rejects(Deno.stat(directory), Deno.errors.NotFound);
  assert.deepEqual((await new Deno.Command("ip", { args: ["-o", "link"] }).output()).stdout, links.stdout);
  await assert.rejects(Lab.create({ nodes: 2, virtualIps: ["nonsense"] }), /not an IP address/);
});

Deno.test(
  { name: "a SIGKILLed lab leaves no process, and the next lab removes its directory", ignore },
  async () => {
    const script = `
    import { Lab } from ${JSON.stringify(new URL("../../src/lab/lab.ts", import.meta.url).href)};
    const lab = await Lab.create({ nodes: 2 });
    await lab.startServices();
    await lab.run("n1", ["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 &"]);
    console.log(JSON.stringify({ id: lab.id, directory: lab.directory,
      pids: [lab.namespace("n1").holder.pid, lab.namespace("bridge").holder.pid, lab.node(1).service.pid] }));
    await new Promise((resolve) => setTimeout(resolve, 60_000));
  `;
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const creator = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--config", config, "--ext=ts", "-"],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const input = creator.stdin.getWriter();
    await input.write(new TextEncoder().encode(script));
    await input.close();
    const reader = creator.stdout.getReader();
    const { value } = await reader.read();
    const { id, directory, pids } = JSON.parse(new TextDecoder().decode(value)) as {
      id: string;
      directory: string;
      pids: number[];
    };
    creator.kill("SIGKILL");
    await creator.status;
    await reader.cancel();
    await using lab = await Lab.create({ nodes: 1 });
    await lab.waitFor(
      async () =>
        (await Promise.all(pids.map((pid) => Deno.stat(`/proc/${pid}`).then(() => true, () => false)))).every(
          (alive) => !alive,
        ),
      WAIT_MS,
      "the processes of the killed lab to end",
    );
    await assert.rejects(Deno.stat(directory), Deno.errors.NotFound);
    assert.deepEqual(await killProcessesOf(id), []);
  },
);
