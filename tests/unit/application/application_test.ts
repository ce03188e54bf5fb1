/** An application of real scripts: each line of `told` is what a script said of its call. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { boottimeMs } from "../../../ffi/clock.ts";
import { Application } from "../../../src/application/application.ts";
import { type NodeState } from "../../../src/application/states.ts";

/** Says which call it is, and waits, if that is so in `waits`, until the file `go` is there. */
const script = (directory: string, waits: string) => `
  cd ${directory}
  call="$VIPFARM_SCRIPT $VIPFARM_STOP"
  echo "$call" >> told
  [ "$call" = "${waits}" ] || exit 0
  until [ -e go ]; do sleep 0.01; done`;

class Scripted implements Disposable {
  readonly directory = Deno.makeTempDirSync();
  readonly application: Application;
  /** Of those who wait for the end of connections: there is one that does not end. */
  readonly draining: AbortSignal[] = [];

  /** `waits`: the call that waits. */
  constructor(waits = "") {
    const run = ["/bin/sh", "-c", script(this.directory, waits)] as const;
    this.application = new Application({
      place: { node: "n1", farm: "web", virtualIps: ["192.0.2.100"] },
      settings: {
        application: {
          scripts: { start: run, stop: run, poststop: run },
          timeoutMs: 20_000,
          recovery: { restarts: 3, withinMs: 600_000, backoffMs: 1_000, backoffMsMax: 60_000 },
        },
        drainMs: 60_000,
      },
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

  is(state: NodeState): Promise<void> {
    return until(() => this.application.machine.state === state, `it is ${state}`);
  }

  says(call: string): Promise<void> {
    return until(() => this.told.includes(call), `a script says "${call}"`);
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
  using node = await new Scripted("stop graceful").up();
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
