/**
 * The steps of a replacement with processes that keep their time, and with some that do not. They are shell scripts that
 * speak as workers do, and write down what they are told.
 */
import assert from "node:assert/strict";
import { replaceWorker } from "../../../src/supervisor/replacement.ts";
import { WorkerProcess } from "../../../src/supervisor/worker_process.ts";

const ASK = "$(printf '%s' \"$line\" | sed 's/.*\"ask\":\\([0-9]*\\).*/\\1/')";

/** What a worker does when it is told `do`. */
type Answers = Readonly<Record<string, string>>;

const FORMER: Answers = {
  save: snapshot("saved"),
  freeze: snapshot("frozen"),
  finish: `printf '{"say":"cut","cutUs":17}\\n{"say":"stopped"}\\n'; exit 0`,
};
const NEXT: Answers = { rehearse: say("rehearsed"), takeOver: say("tookOver") };

function say(kind: string): string {
  return `printf '{"say":"${kind}"}\\n'`;
}

function snapshot(identity: string): string {
  return `printf '{"say":"snapshot","ask":%s,"snapshot":{"identity":"${identity}"}}\\n' ${ASK}`;
}

/** A worker of that kind; what it was told is in its file. */
class Script implements AsyncDisposable {
  readonly path = Deno.makeTempFileSync();
  readonly worker: WorkerProcess;

  constructor(answers: Answers, first = "") {
    const cases = Object.entries(answers).map(([kind, command]) => `*'"do":"${kind}"'*) ${command} ;;`);
    const script = `${first}\nwhile read -r line; do echo "$line" >>"$0"; case "$line" in\n${
      cases.join("\n")
    }\nesac; done`;
    this.worker = new WorkerProcess(["sh", "-c", script, this.path], () => {});
  }

  /** Kinds of what it was told, in order. */
  get told(): string[] {
    return this.lines.map((line) => JSON.parse(line).do);
  }

  get lines(): string[] {
    return Deno.readTextFileSync(this.path).trim().split("\n").filter((line) => line !== "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.worker.kill();
    await this.worker.ended;
    Deno.removeSync(this.path);
  }
}

Deno.test("a replacement goes through its steps, and does not wait until the new program serves", async () => {
  await using former = new Script(FORMER);
  await using next = new Script(NEXT, say("prepared"));
  let succeeded = false;
  const { pausedMs, wasKilled } = await replaceWorker(former.worker, next.worker, () => succeeded = true);
  assert.ok(succeeded && pausedMs >= 0 && !wasKilled);
  assert.deepEqual(former.told, ["save", "freeze", "finish"]);
  await until(() => next.told.length === 5);
  assert.deepEqual(next.told, ["rehearse", "takeOver", "decideFrom", "begin", "serve"]);
  const [rehearse, takeOver, decideFrom] = next.lines.map((line) => JSON.parse(line));
  assert.equal(rehearse.snapshot.identity, "saved");
  assert.equal(takeOver.snapshot.identity, "frozen");
  assert.equal(decideFrom.cutUs, 17);
});

Deno.test("a new program that cannot take over in time: the old one goes on, and can be replaced later", async () => {
  await using former = new Script(FORMER);
  await using late = new Script({ rehearse: say("rehearsed") }, say("prepared"));
  await assert.rejects(
    replaceWorker(former.worker, late.worker, () => assert.fail("there was a way back")),
    /no "tookOver" within/,
  );
  await until(() => former.told.length === 3);
  assert.deepEqual(former.told, ["save", "freeze", "thaw"]);
  await using next = new Script(NEXT, say("prepared"));
  await replaceWorker(former.worker, next.worker, () => {});
});

Deno.test("a new program that was called off takes no place, although it could: the old one goes on", async () => {
  await using former = new Script(FORMER);
  await using next = new Script(NEXT, say("prepared"));
  next.worker.calledOff = "the node is being stopped";
  await assert.rejects(
    replaceWorker(former.worker, next.worker, () => assert.fail("there was a way back")),
    /being stopped/,
  );
  await until(() => former.told.length === 3);
  assert.deepEqual(former.told, ["save", "freeze", "thaw"]);
});

Deno.test("a state that comes too late is not taken for the answer to a later question", async () => {
  await using former = new Script({ ...FORMER, freeze: `sleep 1.5; ${snapshot("frozen before")}` });
  await using next = new Script(NEXT, say("prepared"));
  await assert.rejects(
    replaceWorker(former.worker, next.worker, () => {}),
    /no "snapshot" within/,
  );
  const { identity } = await former.worker.snapshot("save", 10_000);
  assert.equal(identity, "saved");
});

Deno.test("an old program that does not end in time is ended before the new one takes part", async () => {
  await using former = new Script({ ...FORMER, finish: "read -r never" });
  await using next = new Script(NEXT, say("prepared"));
  const outcome = await replaceWorker(former.worker, next.worker, () => {});
  assert.ok(outcome.wasKilled);
  await until(() => next.told.at(-1) === "serve");
});

Deno.test("a worker that has ended is not ready any more: what happens then is told to the next one", async () => {
  const ready: boolean[] = [];
  const worker: WorkerProcess = new WorkerProcess(
    ["sh", "-c", say("ready")],
    () => void ready.push(worker.isReady),
  );
  await worker.ended;
  assert.deepEqual(ready, [true]);
  assert.ok(!worker.isReady);
});

async function until(holds: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while (!holds()) {
    assert.ok(performance.now() < deadlineMs, "in time");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
