/**
 * The supervisor with workers that are shell scripts: they speak as workers do, and write down what they are told.
 */
import assert from "node:assert/strict";
import { RuntimeLock } from "../../../src/host/lock.ts";
import { encodeMessage, MESSAGES_FORM } from "../../../src/supervisor/messages.ts";
import { supervise } from "../../../src/supervisor/supervisor.ts";

/** Of a worker that needs nothing of its host. */
const HELLO = encodeMessage({
  say: "hello",
  form: MESSAGES_FORM,
  version: "0.1.0",
  plan: { interfaces: [] },
  goodbye: {
    node: "n1",
    keys: { farmTag: new Uint8Array(4), headerKey: new Uint8Array(16), heartbeatKey: new Uint8Array(32) },
    intervalMs: 50,
    servicesDigest: 7,
    port: 4321,
    networks: [],
  },
});
/** A loaded machine gets its time. */
const WAIT_MS = 30_000;

/** A command that says this. */
function say(kind: string, more = ""): string {
  return `printf '{"say":"${kind}"${more}}\\n'`;
}

/** What a worker does when it is told something: `$how` it was started, `$count` workers before it. */
const ANSWERS = {
  go: `if [ $how = start ]; then ${say("incarnation", ',"incarnation":7')}; ${say("ready")}; else ${
    say("prepared")
  }; fi`,
  save: snapshot(),
  rehearse: say("rehearsed"),
  freeze: snapshot(),
  takeOver: say("tookOver"),
  finish: `${say("cut", ',"cutUs":17')}; ${say("stopped")}; exit 0`,
  serve: say("ready"),
  stop: `${say("goodbye")}; exit 0`,
};

function snapshot(): string {
  const ask = "$(printf '%s' \"$line\" | sed 's/.*\"ask\":\\([0-9]*\\).*/\\1/')";
  return `printf '{"say":"snapshot","ask":%s,"snapshot":{}}\\n' "${ask}"`;
}

/** A running supervisor. */
class Supervised implements AsyncDisposable {
  readonly directory = Deno.makeTempDirSync();
  readonly #process: Deno.ChildProcess;
  readonly #read: Promise<void>;
  log = "";

  constructor(answers: Partial<typeof ANSWERS>) {
    const cases = Object.entries({ ...ANSWERS, ...answers }).map(([kind, command]) =>
      `*'"do":"${kind}"'*) ${command} ;;`
    );
    const script = `dir=$1 how=$2
touch $dir/started; count=$(wc -l <$dir/started)
echo "$how $$" >>$dir/started
printf '%s' '${HELLO}'
while read -r line; do
echo "$count $line" >>$dir/told
case "$line" in
${cases.join("\n")}
esac
done`;
    Deno.writeTextFileSync(`${this.directory}/worker`, script);
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--quiet",
        new URL("./supervised_program.ts", import.meta.url).pathname,
        this.directory,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#read = this.#readLog();
  }

  async #readLog(): Promise<void> {
    for await (const text of this.#process.stderr.pipeThrough(new TextDecoderStream())) this.log += text;
  }

  signal(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** Its exit code. */
  async ended(): Promise<number> {
    return (await this.#process.status).code;
  }

  /** How each worker was started, and its process id. */
  get started(): Array<{ how: string; pid: number }> {
    return this.#lines("started").map((line) => line.split(" ")).map(([how, pid]) => ({
      how,
      pid: Number(pid),
    }));
  }

  /** Kinds of what the worker that was started so many workers after the first was told, in order. */
  told(index: number): string[] {
    const lines = this.#lines("told").map((line) => /^(\d+) (.*)$/.exec(line)!);
    return lines.filter(([, worker]) => Number(worker) === index).map(([, , json]) => JSON.parse(json).do);
  }

  /** How often one took another's place. */
  get replacements(): number {
    return this.log.split("[program.replaced]").length - 1;
  }

  /** Whether that worker runs. */
  lives(index: number): boolean {
    try {
      Deno.statSync(`/proc/${this.started[index].pid}`);
      return true;
    } catch {
      return false;
    }
  }

  /** Lines that are whole. */
  #lines(name: string): string[] {
    try {
      return Deno.readTextFileSync(`${this.directory}/${name}`).split("\n").slice(0, -1);
    } catch {
      return [];
    }
  }

  async until(holds: () => boolean, what: string): Promise<void> {
    const deadlineMs = performance.now() + WAIT_MS;
    while (!holds()) {
      assert.ok(performance.now() < deadlineMs, `${what}, in time; the log:\n${this.log}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#process.status;
    await this.#read;
    await Deno.remove(this.directory, { recursive: true });
  }
}

Deno.test("a supervisor that finds its runtime directory taken leaves the files there alone", async () => {
  const runtimeDir = await Deno.makeTempDir();
  const lock = await RuntimeLock.acquire(runtimeDir);
  try {
    await Deno.writeTextFile(`${runtimeDir}/worker.pid`, "1\n");
    // A worker that says hello, and waits for its end.
    const workerArgv = () => ["sh", "-c", `printf %s "$0"; exec cat`, HELLO];
    await assert.rejects(supervise({ runtimeDir, workerArgv }), /a daemon is running there already/);
    assert.equal(await Deno.readTextFile(`${runtimeDir}/worker.pid`), "1\n");
  } finally {
    await lock.release();
    await Deno.remove(runtimeDir, { recursive: true });
  }
});

Deno.test("SIGUSR2 while the program starts or is replaced: the one on the disk then runs in the end, started once", async () => {
  await using supervised = new Supervised({
    go: `until [ -e $dir/may_go_$count ]; do sleep 0.01; done; ${ANSWERS.go}`,
  });
  const go = (index: number) => Deno.writeTextFileSync(`${supervised.directory}/may_go_${index}`, "");
  for (const index of [0, 1]) {
    await supervised.until(() => supervised.told(index).includes("go"), `worker ${index} prepares`);
    for (let signals = 0; signals < 3; signals++) supervised.signal("SIGUSR2");
    go(index);
  }
  await supervised.until(
    () => supervised.told(2).includes("go"),
    "a third one for what came during the second",
  );
  go(2);
  await supervised.until(() => supervised.replacements === 2, "it was replaced twice");
  assert.deepEqual(supervised.started.map(({ how }) => how), ["start", "take-over", "take-over"]);
  supervised.signal("SIGTERM");
  assert.equal(await supervised.ended(), 0, supervised.log);
  assert.equal(supervised.started.length, 3);
});

Deno.test("the running program dies in the hand-over: it is started again, and nobody else takes its place", async () => {
  await using supervised = new Supervised({
    freeze: `${ANSWERS.freeze}; [ $count = 0 ] && kill -KILL $$`,
    // As on a busy host: the next one is there when all has been decided.
    takeOver: `until [ $(wc -l <$dir/started) = 3 ]; do sleep 0.01; done; ${ANSWERS.takeOver}`,
  });
  await supervised.until(() => supervised.told(0).includes("go"), "the first worker runs");
  supervised.signal("SIGUSR2");
  await supervised.until(() => /program\.(not_)?replaced/.test(supervised.log), "an outcome");
  await supervised.until(() => supervised.told(2).includes("go"), "the third worker runs");
  assert.deepEqual(supervised.started.map(({ how }) => how), ["start", "take-over", "start"]);
  assert.ok(!supervised.told(1).includes("decideFrom"), supervised.told(1).join());
  await supervised.until(() => !supervised.lives(1), "the one that was called off is gone");
  assert.ok(supervised.lives(2));
  assert.match(supervised.log, /The program was not replaced: the running one ended, and/);
  assert.doesNotMatch(supervised.log, /the old one goes on/);
  supervised.signal("SIGTERM");
  assert.equal(await supervised.ended(), 0, supervised.log);
  assert.deepEqual(supervised.told(2).filter((kind) => kind !== "record"), ["go", "stop"]);
});

Deno.test("a file that cannot be written is told, and is no reason to end", async () => {
  await using supervised = new Supervised({
    go: `rm -f $dir/run/worker.pid; mkdir -p $dir/run/worker.pid; ${ANSWERS.go}`,
  });
  await supervised.until(() => supervised.told(0).includes("go"), "the first worker runs");
  supervised.signal("SIGUSR2");
  await supervised.until(() => supervised.replacements === 1, "it was replaced");
  await supervised.until(
    () => /worker\.pid could not be written: .* is the worker\./.test(supervised.log),
    "told",
  );
  supervised.signal("SIGTERM");
  assert.equal(await supervised.ended(), 0, supervised.log);
});
