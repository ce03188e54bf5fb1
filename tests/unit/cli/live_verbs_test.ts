import assert from "node:assert/strict";
import { Command } from "commander";
import { createAdminApp } from "../../../src/admin/app.ts";
import { serveAdmin } from "../../../src/admin/server.ts";
import { clientArgument } from "../../../src/cli/arguments.ts";
import { AdminClient } from "../../../src/cli/client.ts";
import { explain } from "../../../src/cli/explain.ts";
import { explainLive, type LiveIo, registerLiveVerbs } from "../../../src/cli/verbs_live.ts";
import { plain, renderStatus } from "../../../src/cli/live_output.ts";
import { EXIT, VipfarmError } from "../../../src/core/errors.ts";
import { PlainFarm, type Served, withServer } from "../admin/farm.ts";

/** A terminal that remembers, and lets a test wait for what it shows. */
class Screen implements LiveIo {
  text = "";
  errors = "";
  readonly interrupted = new AbortController();
  #waiting: Array<() => void> = [];

  constructor(readonly terminal = false, readonly colours = false) {}

  out = (text: string) => {
    this.text += text;
    this.#wake();
  };
  err = (text: string) => {
    this.errors += text;
    this.#wake();
  };
  untilInterrupted = (task: (signal: AbortSignal) => Promise<void>) => task(this.interrupted.signal);

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

async function run(screen: Screen, served: Pick<Served, "unixPath">, ...words: string[]): Promise<string> {
  const program = new Command("vipfarm").exitOverride();
  registerLiveVerbs(program, screen);
  const runtimeDir = served.unixPath.replace("/admin.sock", "");
  await program.parseAsync([...words, "--runtime-dir", runtimeDir], { from: "user" });
  return screen.text;
}

Deno.test("status is a table that is read at a glance", async () => {
  await withServer({}, async (served) => {
    assert.equal(
      await run(new Screen(), served, "status"),
      `farm web as n1 sees it (vipfarm 0.1.0)
3 of 3 nodes are up; every bucket has an owner.

NODE  STATE  SHARE  WEIGHT  ADDRESS   REASON
n1 *  up     33.3%  100     10.0.0.1  this node
n2    up     33.3%  100     10.0.0.2  heard on time
n3    up     33.3%  100     10.0.0.3  heard on time

SERVICE  PROTOCOL  PORTS          VIRTUAL IPS  AFFINITY
http     tcp       80, 8000-8100  192.0.2.100  connection
dns      udp       53             192.0.2.100  client
`,
    );
  });
});

Deno.test("shares that differ between services have a column each; held and wanted are told apart", () => {
  const { status } = new PlainFarm();
  status.members[0].claimed = { http: 0.1, dns: 1 / 3 };
  status.members[1].shares.dns = 0;
  const text = renderStatus(status, (_, part) => part);
  assert.match(text, /^NODE +STATE +http +dns +WEIGHT/m);
  assert.match(text, /^n1 \* +up +33\.3% \(holds 10\.0%\) +33\.3% +100/m);
  assert.match(text, /^n2 +up +33\.3% +0\.0% +100/m);
});

Deno.test("what nodes report has columns of its own; checks that are down stand above the table", () => {
  const { status } = new PlainFarm();
  Object.assign(status.members[0], { connections: 118, retained: 0, flows_per_s: 2.34 });
  Object.assign(status.members[1], {
    connections: 40,
    retained: 17,
    flows_per_s: 1234.5,
    application: { state: "draining", reason: "" },
    checks_down: [{ check: "web", reason: "connection refused" }],
  });
  const text = renderStatus(status, (_, plainText) => plainText);
  assert.match(text, /^! n2: check web is down: connection refused$/m);
  for (
    const line of [
      "NODE  STATE  SHARE  WEIGHT  APPLICATION  OPEN          NEW/S  ADDRESS   REASON",
      "n1 *  up     33.3%  100     -            118           2.3    10.0.0.1  this node",
      "n2    up     33.3%  100     draining     40 (17 stay)  1235   10.0.0.2  heard on time",
      "n3    up     33.3%  100     -            -             -      10.0.0.3  heard on time",
    ]
  ) assert.ok(text.split("\n").includes(line), text);
});

Deno.test("events are filtered by what was asked for", async () => {
  await withServer({}, async (served) => {
    const { events } = served.farm;
    events.record({ severity: "info", kind: "member.joined", message: "n2 joined", node: "n2" });
    events.record({ severity: "error", kind: "member.dead", message: "n3 is dead", node: "n3" });
    events.record({ severity: "warning", kind: "check.down", message: "web is down" });
    const lines = async (...words: string[]) =>
      (await run(new Screen(), served, "events", ...words)).trim().split("\n").length;
    assert.equal(await lines(), 3);
    assert.equal(await lines("--severity", "warning"), 2);
    assert.equal(await lines("--kind", "member"), 2);
    assert.match(await run(new Screen(), served, "events", "--node", "n3"), /n3 is dead/);
    assert.equal(await lines("--limit", "1"), 1);
    const empty = new Screen();
    assert.equal(await run(empty, served, "events", "--node", "n9", "--kind", "member"), "");
    assert.equal(
      empty.errors,
      "no event is kept that fits --kind member --node n9\n" +
        "the farm has no node n9; it has n1, n2, n3\n",
    );
    const screen = new Screen();
    const following = run(screen, served, "events", "--follow", "--kind", "check");
    await screen.until(() => screen.text.includes("web is down"));
    events.record({ severity: "info", kind: "member.joined", message: "not wanted" });
    events.record({ severity: "info", kind: "check.up", message: "web is up" });
    await screen.until(() => screen.text.includes("web is up"));
    screen.interrupted.abort();
    await following;
    assert.equal(screen.text.trim().split("\n").length, 2);
  });
});

Deno.test("warnings stand under the sentence, each with its remedy", () => {
  const { status } = new PlainFarm();
  const message = "n3 gets none of the frames.", remedy = "Let the switch flood\x1b[2J.";
  status.warnings.push({ kind: "lan.deaf", message, remedy });
  const lines = renderStatus(status, (_, part) => part).split("\n");
  assert.deepEqual(lines.slice(2, 5), [`! ${message}`, "  Let the switch flood [2J.", ""]);
});

Deno.test("status --json is what the API gives", async () => {
  await withServer({}, async (served) => {
    assert.deepEqual(
      JSON.parse(await run(new Screen(), served, "status", "--json")),
      JSON.parse(JSON.stringify(served.farm.status)),
    );
  });
});

Deno.test("colours appear only where they are wanted, and tell the states apart", async () => {
  await withServer({}, async (served) => {
    served.farm.status.members[1].state = "dead";
    served.farm.status.members[2].state = "suspect";
    assert.ok(!(await run(new Screen(true, false), served, "status")).includes("\x1b"));
    const coloured = await run(new Screen(true, true), served, "status");
    assert.ok(coloured.includes("\x1b[32mup\x1b[0m"));
    assert.ok(coloured.includes("\x1b[31mdead\x1b[0m"));
    assert.ok(coloured.includes("\x1b[33msuspect\x1b[0m"));
    assert.ok(coloured.includes("\x1b[31m3 of 3"), "the sentence has the colour of the worst state");
  });
});

Deno.test("text from elsewhere cannot steer the terminal", async () => {
  assert.equal(plain("a\x1b[2Jb\r\n\x07c\u202ed"), "a [2Jb c d");
  await withServer({}, async (served) => {
    served.farm.status.members[1].reason = "\x1b]0;owned\x07";
    served.farm.events.record({ severity: "info", kind: "test.happened", message: "\x1b[2J" });
    assert.ok(!(await run(new Screen(), served, "status")).includes("\x1b"));
    assert.ok(!(await run(new Screen(), served, "events")).includes("\x1b"));
  });
});

Deno.test("status --watch shows each change, and never what is old as fresh", async () => {
  const directory = await Deno.makeTempDir();
  const unixPath = `${directory}/admin.sock`;
  const farm = new PlainFarm();
  const first = await serveAdmin({ app: createAdminApp(farm), unixPath });
  const screen = new Screen(true, false);
  const done = run(screen, { unixPath }, "status", "--watch");
  await screen.until(() => screen.text.includes("every bucket has an owner"));
  farm.status.health = "2 of 3 nodes are up.";
  await screen.until(() => screen.text.includes("2 of 3 nodes are up."));
  await first.shutdown();
  await screen.until(() =>
    screen.text.includes("connection lost: no daemon can be reached; below is what it said")
  );
  farm.status.health = "all is well again";
  const second = await serveAdmin({ app: createAdminApp(farm), unixPath });
  await screen.until(() => screen.text.includes("all is well again"));
  screen.interrupted.abort();
  await done;
  assert.ok(screen.text.startsWith("\x1b[2J\x1b[H"));
  await second.shutdown();
  await Deno.remove(directory, { recursive: true });
});

Deno.test("status --watch --json prints one object a line, for programs", async () => {
  await withServer({}, async (served) => {
    const screen = new Screen(true, false);
    const done = run(screen, served, "status", "--watch", "--json");
    await screen.until(() => screen.text.split("\n").length === 2);
    served.farm.status.health = "changed";
    await screen.until(() => screen.text.split("\n").length === 3);
    screen.interrupted.abort();
    await done;
    const lines = screen.text.trimEnd().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(lines.map(({ health }) => health).at(-1), "changed");
  });
});

Deno.test("events are listed as lines, or as one object a line", async () => {
  await withServer({}, async (served) => {
    served.farm.events.record({
      severity: "warning",
      kind: "member.suspected",
      message: "n2 is late",
      node: "n2",
    });
    const line = await run(new Screen(), served, "events");
    assert.match(line, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}warning {2}n2 is late {2}member\.suspected\n$/);
    assert.equal(JSON.parse(await run(new Screen(), served, "events", "--json")).node, "n2");
  });
});

Deno.test("events --follow goes on over a restart of the daemon, and says so", async () => {
  const directory = await Deno.makeTempDir();
  const unixPath = `${directory}/admin.sock`;
  const happened = (message: string) => ({ severity: "info", kind: "test.happened", message }) as const;
  const before = new PlainFarm();
  const first = await serveAdmin({ app: createAdminApp(before), unixPath });
  before.events.record(happened("kept"));
  const screen = new Screen();
  const done = run(screen, { unixPath }, "events", "--follow");
  await screen.until(() => screen.text.includes("kept"));
  before.events.record(happened("live"));
  await screen.until(() => screen.text.includes("live"));
  await first.shutdown();
  await screen.until(() => screen.errors.includes("connection lost"));
  const after = new PlainFarm();
  after.events.record(happened("new run"));
  const second = await serveAdmin({ app: createAdminApp(after), unixPath });
  await screen.until(() => screen.text.includes("new run"));
  screen.interrupted.abort();
  await done;
  assert.equal(screen.errors, "connection lost; waiting for the daemon\nconnected again\n");
  assert.equal(screen.text.split("\n").length, 4, "every event once");
  await second.shutdown();
  await Deno.remove(directory, { recursive: true });
});

Deno.test("events --follow --limit begins with the last ones, and goes on with what happens", async () => {
  await withServer({}, async (served) => {
    const happened = (message: string) =>
      served.farm.events.record({ severity: "info", kind: "test.happened", message });
    for (const message of ["one", "two", "three"]) happened(message);
    const screen = new Screen();
    const done = run(screen, served, "events", "--follow", "--limit", "2", "--kind", "test");
    await screen.until(() => screen.text.includes("three"));
    happened("four");
    await screen.until(() => screen.text.includes("four"));
    screen.interrupted.abort();
    await done;
    assert.deepEqual(screen.text.match(/one|two|three|four/g), ["two", "three", "four"]);
    assert.equal(screen.errors, "");
  });
});

Deno.test("actions go to the named node, or to the one that is asked, and report what became of them", async () => {
  await withServer({}, async (served) => {
    assert.equal(await run(new Screen(), served, "drain", "n2"), "n2 has weight 0 now\n");
    assert.equal(await run(new Screen(), served, "drain", "n2"), "n2 has weight 0 already\n");
    assert.equal(await run(new Screen(), served, "resume", "n2"), "n2 has weight 100 now\n");
    assert.equal(await run(new Screen(), served, "drain"), "n1 has weight 0 now\n");
    assert.equal(await run(new Screen(), served, "weight", "n3", "50"), "n3 has weight 50 now\n");
    assert.deepEqual(served.farm.orders.map(({ node }) => node), ["n2", "n2", "n2", "n1", "n3"]);
  });
});

Deno.test("actions that cannot be done end in the exit code that says why", async () => {
  await withServer({}, async (served) => {
    const refused = (exitCode: number, message: RegExp, ...words: string[]) =>
      assert.rejects(run(new Screen(), served, ...words), (error: VipfarmError) => {
        assert.equal(error.exitCode, exitCode, error.message);
        assert.match(error.message, message);
        return true;
      });
    await refused(EXIT.usage, /drain n9: this farm has no node/, "drain", "n9");
    for (const verb of ["start", "stop", "restart"]) await refused(EXIT.no, /no application/, verb, "n2");
    for (const weight of ["1001", "1.5", "x", "1e3"]) {
      await refused(EXIT.usage, /whole number/, "weight", "n1", weight);
    }
    await run(new Screen(), served, "drain", "n2");
    await run(new Screen(), served, "drain", "n3");
    await refused(EXIT.no, /the only node that takes new flows/, "drain", "n1");
    assert.equal(await run(new Screen(), served, "drain", "n1", "--force"), "n1 has weight 0 now\n");
  });
});

Deno.test("every verb ends in exit code 3 where no daemon runs", async () => {
  const verbs = [["status"], ["status", "--watch"], ["events"], ["events", "--follow"], ["drain"], [
    "drain",
    "n1",
  ], [
    "weight",
    "n1",
    "5",
  ]];
  for (const words of verbs) {
    await assert.rejects(
      run(new Screen(), { unixPath: "/nonexistent/admin.sock" }, ...words),
      (error: VipfarmError) => {
        assert.equal(error.exitCode, EXIT.unreachable, words.join(" "));
        assert.match(error.remedy!, /vipfarm run/);
        return true;
      },
    );
  }
});

Deno.test("explainLive asks the daemon, and says that there is none", async () => {
  await withServer({}, async ({ url }) => {
    const daemon = new AdminClient({ admin: url });
    const answer = await explainLive(daemon, { client: "198.51.100.7", port: 5, service: "http" });
    assert.equal(answer.owner, "n2");
    assert.equal(answer.runner_up, "n3");
    await assert.rejects(explainLive(daemon, { client: "198.51.100.7", service: "http" }), /by its port/);
    await assert.rejects(explainLive(daemon, { client: "x" }), /not an IP address/);
    daemon.close();
  });
  const nobody = new AdminClient({ runtimeDir: "/nonexistent" });
  await assert.rejects(explainLive(nobody, { client: "198.51.100.7" }), { exitCode: EXIT.unreachable });
  nobody.close();
});

Deno.test("explain tells who serves a client in a farm without services, too", async () => {
  const farm = new PlainFarm();
  farm.status.services = [];
  await withServer(
    {},
    async ({ url }) => {
      const answers: string[] = [];
      const output = { answer: (text: string) => void answers.push(text), note: () => {}, error: () => {} };
      const options = { admin: url, runtimeDir: "/nonexistent", runtimeDirIsGiven: false };
      const code = await explain(clientArgument("198.51.100.7"), { ...options, json: true }, output);
      assert.equal(code, EXIT.done);
      const { service, affinity, owner } = JSON.parse(answers.join());
      assert.deepEqual({ service, affinity, owner }, { service: null, affinity: "client", owner: "n3" });
    },
    farm,
  );
});
