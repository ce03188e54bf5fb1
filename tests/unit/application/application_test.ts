/** An application of real scripts: each line of `told` is what a script said of its call. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { boottimeMs } from "../../../ffi/clock.ts";
import { Application, type ApplicationSettings } from "../../../src/application/application.ts";
import { type NodeState } from "../../../src/application/states.ts";

interface Calls {
  /** The call that does not end before the file `go` is there. */
  readonly waits?: string;
  /** The call that fails. */
  readonly fails?: string;
}

const script = (directory: string, { waits, fails }: Calls) => `
  cd ${directory}
  call="$VIPFARM_SCRIPT $VIPFARM_STOP"
  echo "$call" >> told
  [ "$call" = "${fails}" ] && exit 1
  [ "$call" = "${waits}" ] || exit 0
  until [ -e go ]; do sleep 0.01; done`;

class Scripted implements Disposable {
  readonly directory = Deno.makeTempDirSync();
  readonly settings: ApplicationSettings;
  readonly application: Application;
  /** Of those who wait for the end of connections: there is one that does not end. */
  readonly draining: AbortSignal[] = [];

  constructor(calls: Calls = {}) {
    const run = ["/bin/sh", "-c", script(this.directory, calls)] as const;
    this.settings = {
      application: {
        scripts: { start: run, stop: run, poststop: run },
        timeoutMs: 20_000,
        recovery: { restarts: 3, withinMs: 600_000, backoffMs: 1_000, backoffMsMax: 60_000 },
      },
      drainMs: 60_000,
    };
    this.application = new Application({
      place: { node: "n1", farm: "web", virtualIps: ["192.0.2.100"] },
      settings: this.settings,
      nowMs: boottimeMs,
      remember: () => {},
      forget: () => {},
      record: () => {},
      drained: (_deadlineMs, calledOff) => {
        this.draining.push(calledOff);
        return new Promise((called) => calledOff.addEventListener("abort", () => called()));
      },
      started: () => {},
      changed: () => {},
    });
  }

  get told(): string[] {
    const path = `${this.directory}/told`;
    return existsSync(path)
      ? Deno.readTextFileSync(path).trimEnd().split("\n").map((line) => line.trim())
      : [];
  }

  /** What waits goes on. */
  go(): void {
    Deno.writeTextFileSync(`${this.directory}/go`, "");
  }

  async up(): Promise<this> {
    this.application.boot();
    await this.is("up");
    return this;
  }

  /** A check asks for it. */
  stop(): void {
    const demand = { demand: "stop", reason: "check web is down" } as const;
    this.application.take({ kind: "health", services: {}, application: demand });
  }

  is(state: NodeState): Promise<void> {
    return until(() => this.application.machine.state === state, `it is ${state}`);
  }

  says(call: string, count = 1): Promise<void> {
    return until(() => this.told.filter((told) => told === call).length === count, `${count} x "${call}"`);
  }

  [Symbol.dispose](): void {
    this.application.close();
    Deno.removeSync(this.directory, { recursive: true });
  }
}

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const endMs = performance.now() + 20_000; !holds();) {
    assert.ok(performance.now() < endMs, `not within 20 s: ${what}`);
    await new Promise((next) => setTimeout(next, 5));
  }
}

Deno.test("a node that leaves takes no orders: its stop ends as one, and nothing starts after it", async () => {
  using node = await new Scripted({ waits: "stop graceful" }).up();
  const { application } = node;
  let left = false;
  const leaving = application.leave(new Promise(() => {})).then(() => left = true);
  await node.says("stop graceful");
  const refused = { code: "refused", text: "this node is leaving the farm" };
  for (const verb of ["start", "restart", "stop", "drain", "resume"] as const) {
    assert.deepEqual(application.obey(verb), refused, verb);
  }
  node.go();
  await until(() => left, "it has left");
  await leaving;
  assert.deepEqual(application.obey("start"), refused);
  assert.equal(application.machine.state, "stopped");
  assert.deepEqual(node.told, ["start", "stop graceful", "poststop"]);
});

Deno.test("nobody goes on waiting for the end of connections for an order that was taken back", async () => {
  using node = await new Scripted().up();
  const { application, draining } = node;
  const waiting = () => draining.map(({ aborted }) => !aborted);
  application.obey("stop");
  application.obey("start");
  assert.deepEqual(waiting(), [false]);
  application.obey("stop");
  application.obey("restart");
  assert.deepEqual(waiting(), [false, false, true]);
  application.freeze();
  assert.deepEqual(waiting(), [false, false, false]);
  application.thaw();
  assert.deepEqual(waiting(), [false, false, false, true]);
  assert.equal(application.machine.state, "draining");
  await application.leave(new Promise(() => {}));
  assert.deepEqual(waiting(), [false, false, false, false]);
  assert.deepEqual(node.told, ["start", "stop graceful", "poststop"]);
});

Deno.test("a stop that another process goes on with is not forced by this one, nor forced to its end", async () => {
  for (const calls of [{ waits: "stop graceful" }, { fails: "stop graceful", waits: "stop forced" }]) {
    using node = await new Scripted(calls).up();
    node.stop();
    await node.says(calls.waits);
    const before = node.told;
    node.application.freeze();
    // Scripts run when those before have ended: these tell what ran meanwhile.
    node.application.thaw();
    await node.says("stop graceful", 2);
    node.go();
    await node.is("stopped");
    assert.deepEqual(node.told, [...before, ...before.slice(1), "poststop"]);
  }
});

Deno.test("a stop of an application that is no longer configured is called off, not forced", async () => {
  using node = await new Scripted({ waits: "stop graceful" }).up();
  node.stop();
  await node.says("stop graceful");
  node.application.configure({ ...node.settings, application: undefined });
  node.application.configure(node.settings);
  await node.says("stop graceful", 2);
  node.go();
  await node.is("stopped");
  assert.deepEqual(node.told, ["start", "stop graceful", "stop graceful", "poststop"]);
});

Deno.test("who is in a hurry has the stop forced, and it ends like any other", async () => {
  using node = await new Scripted({ waits: "stop graceful" }).up();
  const hurry = Promise.withResolvers<void>();
  const leaving = node.application.leave(hurry.promise);
  await node.says("stop graceful");
  hurry.resolve();
  await leaving;
  assert.equal(node.application.machine.state, "stopped");
  assert.deepEqual(node.told, ["start", "stop graceful", "stop forced", "poststop"]);
});
