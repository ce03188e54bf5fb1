/** What runs the checks, with the real clock and real sockets: start, change of the file, start of the application, end. */
import assert from "node:assert/strict";
import { boottimeMs, realtimeMs } from "../../../ffi/clock.ts";
import { type CheckConfig, type RuleConfig } from "../../../src/config/checks_config.ts";
import { WatchThread } from "../../../src/control/watcher.ts";
import { parseAddress } from "../../../src/core/address.ts";
import { type FarmEventInit } from "../../../src/core/events.ts";
import { CHECKS_MAX, WEIGHT_MAX } from "../../../src/core/limits.ts";
import { Health } from "../../../src/health/health.ts";
import { readSavedHealth } from "../../../src/health/saved.ts";
import { type HealthState } from "../../../src/health/types.ts";
import { check, config, rule } from "./support.ts";

/** A busy machine gets this long. */
const PATIENCE_MS = 20_000;
const LOCAL = parseAddress("127.0.0.1")!;

/** Health of a node whose only surroundings are this test. */
class Rig implements AsyncDisposable {
  readonly events: FarmEventInit[] = [];
  readonly states: HealthState[] = [];
  readonly watcher = new WatchThread((error) => this.failures.push(error));
  readonly failures: Error[] = [];
  readonly health: Health;
  members = 3;
  #wake: () => void = () => {};

  constructor(checks: CheckConfig[], rules: RuleConfig[] = [], assumeUp = false) {
    this.health = new Health(config(checks, rules), {
      node: "n1",
      watcher: this.watcher,
      assumeUp,
      interfaceName: (name) => name ?? "lo",
      members: () => this.members,
      nodeState: () => "up",
      nowMs: boottimeMs,
      wallMs: realtimeMs,
      chance: Math.random,
      record: (event) => this.events.push(event),
      onChange: (state) => {
        this.states.push(state);
        this.#wake();
      },
    });
  }

  /** Waits until what was told last fulfils the condition. */
  async until(what: string, holds: (state: HealthState) => boolean): Promise<HealthState> {
    const endMs = performance.now() + PATIENCE_MS;
    for (;;) {
      const last = this.states.at(-1);
      if (last !== undefined && holds(last)) return last;
      assert.ok(performance.now() < endMs, `${what}: ${JSON.stringify(last)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, PATIENCE_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.health.close();
    await this.watcher.close();
    assert.deepEqual(this.failures, []);
  }
}

function listen(): Deno.TcpListener {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  void (async () => {
    for await (const connection of listener) connection.close();
  })().catch(() => {});
  return listener;
}

function tcp(name: string, port: number, more: Partial<CheckConfig> = {}): CheckConfig {
  const timing = { intervalMs: 100, timeoutMs: 90, rise: 2, fall: 2, startDelayMs: 0, warmUpMs: 10 };
  return check(name, { target: { kind: "tcp", address: LOCAL, port }, timing, ...more });
}

const stateOf = (state: HealthState, name: string) => state.checks.find((each) => each.name === name)?.state;

Deno.test("before the first verdict a node that starts is held back, and one that goes on is not", async () => {
  using listener = listen();
  for (const assumeUp of [false, true]) {
    await using rig = new Rig([tcp("web", listener.addr.port)], [], assumeUp);
    rig.health.start();
    assert.equal(rig.states[0].services.http.demand, assumeUp ? "none" : "leave");
    const { services } = await rig.until("the check is up", (state) => stateOf(state, "web") === "up");
    assert.equal(services.http.demand, "none");
    assert.deepEqual(rig.events, [], "that a check is up at first is no news");
  }
});

Deno.test("what is known to be down stays down in the next process, through a start delay, until new runs say otherwise", async () => {
  const timing = { intervalMs: 100, timeoutMs: 90, rise: 2, fall: 2, startDelayMs: 0, warmUpMs: 10 };
  const rules = [rule("check.web.down", ["web"], { name: "gone", services: ["dns"], afterMs: 50 })];
  await using former = new Rig([tcp("web", 1, { onFailure: "fail", services: ["http"] })], rules);
  former.health.start();
  await former.until(
    "check and rule hold back",
    ({ services: { http, dns } }) => http.demand === "fail" && dns.demand === "leave",
  );
  const saved = readSavedHealth(JSON.parse(JSON.stringify(former.health.toSave())))!;

  using listener = listen();
  const web = tcp("web", listener.addr.port, {
    onFailure: "fail",
    services: ["http"],
    timing: { ...timing, startDelayMs: 3_600_000 },
  });
  await using next = new Rig([web], rules, true);
  next.health.goOn(saved);
  const { services } = next.health.state();
  assert.deepEqual([services.http.demand, services.dns.demand], ["fail", "leave"], "before the first run");
  assert.match(services.http.reason, /^check web is down: as it was found before/);
  next.health.start();
  await next.until("it is up", (state) => stateOf(state, "web") === "up");
  assert.deepEqual(
    next.events.map(({ kind }) => kind),
    ["check.up", "rule.ended"],
    "what is known is no news",
  );
});

Deno.test("what the next process must know of many checks fits in a file of 64 KiB", async () => {
  const checks = Array.from({ length: CHECKS_MAX }, (_, index) => tcp(`${"n".repeat(60)}${index}`, 1));
  await using rig = new Rig(checks);
  const known = { state: "down", sinceMs: boottimeMs(), weight: WEIGHT_MAX } as const;
  rig.health.goOn({ checks: Object.fromEntries(checks.map(({ name }) => [name, known])), rules: {} });
  const saved = rig.health.toSave();
  assert.equal(Object.keys(saved.checks).length, CHECKS_MAX);
  assert.ok(JSON.stringify(saved).length < 65_536);
});

Deno.test("a check tells when it goes down and comes back, with cause and effect", async () => {
  const listener = listen();
  const { port } = listener.addr;
  await using rig = new Rig([tcp("web", port, { services: ["http"] })]);
  rig.health.start();
  await rig.until("it is up", (state) => stateOf(state, "web") === "up");
  listener.close();
  const { services } = await rig.until("it is down", (state) => stateOf(state, "web") === "down");
  assert.deepEqual([services.http.demand, services.dns.demand], ["leave", "none"]);
  using _again = Deno.listen({ hostname: "127.0.0.1", port });
  await rig.until("it is up again", (state) => stateOf(state, "web") === "up");
  assert.deepEqual(rig.events.map(({ kind, message }) => [kind, message]), [
    [
      "check.down",
      "Check web is down on n1: connection refused. http takes no new flows here; open connections stay.",
    ],
    ["check.up", `Check web is up again on n1: connected to 127.0.0.1:${port}.`],
  ]);
});

Deno.test("a change of the file keeps what is known of checks that stay, and holds nothing back for new ones", async () => {
  using listener = listen();
  const { port } = listener.addr;
  await using rig = new Rig([tcp("web", port), tcp("gone", 1)]);
  rig.health.start();
  await rig.until(
    "both are known",
    (state) => stateOf(state, "web") === "up" && stateOf(state, "gone") === "down",
  );
  const before = rig.health.check("web")!;
  rig.health.reconfigure(config([tcp("web", port, { onFailure: "fail" }), tcp("new", port)]));
  const state = rig.health.state();
  assert.deepEqual(state.checks.map(({ name }) => name), ["web", "new"]);
  assert.equal(rig.health.check("web")!.since, before.since);
  assert.ok(rig.health.check("web")!.runs >= before.runs);
  assert.equal(rig.health.check("web")!.action, "fail");
  assert.equal(state.services.http.demand, "none", "a new check holds nothing back");
  await rig.until("the new one is up", (state) => stateOf(state, "new") === "up");
  rig.health.reconfigure(config([tcp("web", 1)]));
  assert.equal(
    rig.health.check("web")!.state,
    "up",
    "a check that looks elsewhere keeps its state until it knows better",
  );
  await rig.until("it is down", (state) => stateOf(state, "web") === "down");
});

Deno.test("after a start of the application, a check that was down is asked anew", async () => {
  await using rig = new Rig([tcp("web", 1, { onFailure: "restart" })]);
  rig.health.start();
  const down = await rig.until("it is down", (state) => stateOf(state, "web") === "down");
  assert.equal(down.node.demand, "restart");
  rig.health.applicationStarted();
  const anew = rig.states.at(-1)!;
  assert.deepEqual([stateOf(anew, "web"), anew.node.demand, anew.services.http.demand], [
    "pending",
    "none",
    "leave",
  ]);
  await rig.until("it is down again", (state) => state.node.demand === "restart");
});

Deno.test("a rule waits its time, sees the farm, and tells when it applies and when it does not any more", async () => {
  using listener = listen();
  const name = "alone";
  await using rig = new Rig([tcp("web", listener.addr.port)], [
    rule("check.web.up && farm.members < 2", ["web"], { name, afterMs: 50, action: "stop" }),
  ]);
  rig.health.start();
  await rig.until("it is up", (state) => stateOf(state, "web") === "up");
  assert.equal(rig.health.state().node.demand, "none");
  rig.members = 1;
  rig.health.factsChanged();
  const { node } = await rig.until("the rule applies", (state) => state.node.demand === "stop");
  assert.equal(node.check, name);
  rig.members = 2;
  rig.health.factsChanged();
  await rig.until("it does not any more", (state) => state.node.demand === "none");
  assert.deepEqual(rig.events.map(({ kind }) => kind), ["rule.applies", "rule.ended"]);
});

Deno.test("a rule that undoes its own condition turns slowly, not without end at once", async () => {
  using listener = listen();
  let state = "up";
  const states: string[] = [];
  const watcher = new WatchThread(() => {});
  const checks = [tcp("web", listener.addr.port)];
  const health: Health = new Health(config(checks, [rule('node.state == "up"', ["web"])]), {
    node: "n1",
    watcher,
    assumeUp: true,
    interfaceName: (name) => name ?? "lo",
    members: () => 1,
    nodeState: () => state,
    nowMs: boottimeMs,
    wallMs: realtimeMs,
    chance: Math.random,
    record: () => {},
    onChange: ({ services }) => {
      state = services.http.demand === "none" ? "up" : "waiting";
      states.push(state);
      health.factsChanged();
      if (states.length === 4) turned.resolve();
    },
  });
  const turned = Promise.withResolvers<void>();
  const startedMs = performance.now();
  health.start();
  await turned.promise;
  assert.ok(performance.now() - startedMs > 200);
  await health.close();
  await watcher.close();
});
