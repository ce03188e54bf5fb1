import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { environmentFor } from "../../../src/host/child.ts";
import { type Program, runProgram } from "../../../src/host/run_program.ts";
import { userByName } from "../../../src/host/user.ts";

const MODULE = new URL("../../../src/host/run_program.ts", import.meta.url).href;

const sh = (script: string, more: Partial<Program> = {}) =>
  runProgram({ argv: ["/bin/sh", "-c", script], timeoutMs: 20_000, leftBehind: "leave", ...more });

/** Whether a process runs: one that waits to be reaped does not. */
function alive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

/** Field 5 of proc_pid_stat(5). */
function processGroup(pid: number): number {
  return Number(Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1].split(" ")[2]);
}

/** Waits until it has gone; processes end a moment after they were told to. */
async function gone(pid: number): Promise<void> {
  for (let looks = 0; alive(pid); looks++) {
    assert.ok(looks < 500, `process ${pid} is still there`);
    await new Promise((next) => setTimeout(next, 10));
  }
}

Deno.test("status, output of both streams and environment", async () => {
  const { outcome, code, how, output } = await sh("echo $GREETING; echo oops >&2; exit 3", {
    env: { GREETING: "hello" },
  });
  assert.deepEqual({ outcome, code, how }, { outcome: "exited", code: 3, how: "exited with status 3" });
  assert.deepEqual(output.toSorted(), ["hello", "oops"]);
  assert.equal((await sh("exit 0")).how, "succeeded");
  assert.equal((await sh("kill -9 $$")).how, "was killed by SIGKILL");
  assert.deepEqual((await sh("cat", { input: "from me\n" })).output, ["from me"]);
});

Deno.test("what cannot be started says why", async () => {
  const missing = await runProgram({ argv: ["/nonexistent/x"], timeoutMs: 1000, leftBehind: "leave" });
  assert.equal(missing.outcome, "not_started");
  assert.match(missing.how, /^could not be started: there is no such file/);
  const data = await runProgram({ argv: ["/etc/passwd"], timeoutMs: 1000, leftBehind: "leave" });
  assert.match(data.how, /^could not be started: permission denied; is it executable/);
});

Deno.test("out of time, the whole group is killed, also what ignores SIGTERM", async () => {
  const { outcome, how, output, durationMs } = await sh(
    "trap '' TERM; (trap '' TERM; sleep 60 & echo $!; wait; sleep 60) & echo $!; while :; do sleep 60; done",
    { timeoutMs: 300, killAfterMs: 200 },
  );
  assert.equal(outcome, "timed_out");
  assert.equal(how, "did not end within 0.3 s and was killed");
  assert.ok(durationMs < 10_000);
  assert.equal(output.length, 2);
  for (const pid of output) await gone(Number(pid));
});

Deno.test("a daemon that a script leaves running outlives it, and does not hold it up", async () => {
  const { code, output, durationMs } = await sh("sleep 30 & echo $!");
  assert.equal(code, 0);
  assert.ok(durationMs < 10_000);
  const pid = Number(output[0]);
  assert.ok(alive(pid));
  Deno.kill(pid, "SIGKILL");
});

Deno.test("what a script leaves running may print for ever, also when this process is gone", async () => {
  const directory = await Deno.makeTempDir();
  const beats = `${directory}/beats`;
  const script = `sh -c 'while sleep 0.02; do echo x; echo >>${beats}; done' & echo $!`;
  const runner = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { runProgram } from ${JSON.stringify(MODULE)};
      const { output } = await runProgram({
        argv: ["/bin/sh", "-c", ${JSON.stringify(script)}], timeoutMs: 20_000, leftBehind: "leave",
      });
      console.log(output[0]);
      setInterval(() => {}, 1_000);`,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = runner.stdout.getReader();
  const { value } = await reader.read();
  const pid = Number(new TextDecoder().decode(value));
  await reader.cancel();
  runner.kill("SIGKILL");
  await runner.status;
  const size = () => Deno.statSync(beats).size;
  const before = size();
  for (let looks = 0; size() < before + 5; looks++) {
    assert.ok(looks < 1_000 && alive(pid), "it goes on");
    await new Promise((next) => setTimeout(next, 10));
  }
  Deno.kill(-processGroup(pid), "SIGKILL");
  await gone(pid);
  await Deno.remove(directory, { recursive: true });
});

Deno.test("what is for vipfarm alone is not for its programs", async () => {
  const own = { NOTIFY_SOCKET: "/x", WATCHDOG_USEC: "1", VIPFARM_UNIT: "v", DENO_DIR: "/none", LANG: "C" };
  assert.deepEqual(environmentFor(own, undefined, { VIPFARM_NODE: "n1" }), {
    LANG: "C",
    VIPFARM_NODE: "n1",
  });
  Deno.env.set("VIPFARM_EXECUTABLE", "/usr/bin/vipfarm");
  Deno.env.set("OF_THE_HOST", "stays");
  try {
    for (const leftBehind of ["leave", "kill"] as const) {
      const { output } = await sh('echo "$VIPFARM_EXECUTABLE,$OF_THE_HOST"', { leftBehind });
      assert.deepEqual(output, [",stays"]);
    }
  } finally {
    Deno.env.delete("VIPFARM_EXECUTABLE");
    Deno.env.delete("OF_THE_HOST");
  }
});

Deno.test("a check leaves nothing behind", async () => {
  const { code, output } = await sh("sleep 30 & echo $!", { leftBehind: "kill" });
  assert.equal(code, 0);
  await gone(Number(output[0]));
});

Deno.test("called off, it ends at once", async () => {
  const controller = new AbortController();
  const called = runProgram(
    { argv: ["/bin/sleep", "60"], timeoutMs: 60_000, killAfterMs: 100, leftBehind: "leave" },
    controller.signal,
  );
  controller.abort();
  assert.equal((await called).outcome, "called_off");
  assert.equal(
    (await runProgram({ argv: ["/bin/true"], timeoutMs: 1, leftBehind: "leave" }, controller.signal)).how,
    "was called off",
  );
});

Deno.test("output without end takes no room", async () => {
  // In a process of its own: other tests run in this one.
  const script = `
    const { runProgram } = await import(${JSON.stringify(MODULE)});
    const before = Deno.memoryUsage().rss;
    const endless = "yes 0123456789abcdef | head -c 200000000; echo; echo the end";
    const { outcome, output } = await runProgram({
      argv: ["/bin/sh", "-c", endless], timeoutMs: 60_000, leftBehind: "leave",
    });
    console.log(JSON.stringify({ outcome, last: output.at(-1), grownBytes: Deno.memoryUsage().rss - before }));
  `;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args: ["eval", script] }).output();
  assert.equal(new TextDecoder().decode(stderr), "");
  const { outcome, last, grownBytes } = JSON.parse(new TextDecoder().decode(stdout));
  assert.equal(outcome, "exited");
  assert.equal(last, "the end");
  assert.ok(grownBytes < 100e6, `${grownBytes} bytes more than before`);
});

Deno.test("it inherits none of our descriptors, whoever has opened them", async () => {
  const directory = await Deno.makeTempDir();
  const server = createServer().listen(`${directory}/socket`);
  await once(server, "listening");
  const { output } = await sh("ls -l /proc/$$/fd");
  assert.deepEqual(output.filter((line) => line.includes("socket:")), []);
  server.close();
  await Deno.remove(directory, { recursive: true });
});

Deno.test("as another user", async () => {
  const user = await userByName("nobody");
  assert.deepEqual((await sh("id -un; id -Gn; echo $HOME", { user })).output, [
    "nobody",
    "nogroup",
    user.home,
  ]);
  const without = await new Deno.Command("setpriv", {
    args: [
      ...["--bounding-set=-setuid,-setgid", Deno.execPath(), "eval"],
      `import { runProgram } from ${JSON.stringify(MODULE)};
      const program = { argv: ["/bin/true"], timeoutMs: 20_000, leftBehind: "kill" };
      console.log((await runProgram({ ...program, user: ${JSON.stringify(user)} })).how);`,
    ],
    stderr: "inherit",
  }).output();
  assert.match(
    new TextDecoder().decode(without.stdout),
    /may not be run as nobody: give the service CAP_SETUID and CAP_SETGID, and CAP_KILL/,
  );
  await assert.rejects(() => userByName("no-such-user"), /this host has no such user \(no-such-user\)/);
});
