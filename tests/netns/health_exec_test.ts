/** Programs of the administrator as checks: those that hang, fork, print without end, are missing, or say a weight. */

import assert from "node:assert/strict";
import { missingPrivilege, Pair } from "./ffi_support.ts";
import { HealthRun } from "./health_support.ts";

const ignore = missingPrivilege !== undefined;
const MIB = 1_048_576;
/** What a gigabyte of output may cost: the collector of garbage frees buffers when it likes. */
const GROWTH_BYTES_MAX = 200 * MIB;

/** Living processes whose command line contains the mark. */
function marked(mark: string): string[] {
  return [...Deno.readDirSync("/proc")].filter(({ name }) => /^\d+$/.test(name)).flatMap(({ name }) => {
    try {
      const command = Deno.readTextFileSync(`/proc/${name}/cmdline`).replaceAll("\0", " ");
      return command.includes(mark) ? [`${name}: ${command}`] : [];
    } catch {
      return [];
    }
  });
}

Deno.test({
  name: "a check's program is ended with all it has started, read in fixed room, and judged by its status",
  ignore,
}, async () => {
  const directory = Deno.makeTempDirSync({ prefix: "vft-health-" });
  using pair = new Pair();
  const mark = `vft-${crypto.randomUUID()}`;
  const script = (name: string, text: string, mode = 0o755) => {
    Deno.writeTextFileSync(`${directory}/${name}`, `#!/bin/sh\n${text}\n`, { mode });
    return `exec: { command: [${directory}/${name}, ${mark}]`;
  };
  Deno.chmodSync(directory, 0o755);
  const checks: Record<string, string> = {
    good: `${script("good", "echo all is well")} }`,
    failing: `${script("failing", "echo first; echo no room left on the disk >&2; exit 3")} }`,
    hanging: `${
      script(
        "hanging",
        "trap '' TERM; sh -c 'trap \"\" TERM; while :; do sleep 1; done' $1 & while :; do sleep 1; done",
      )
    } }`,
    forking: `${
      script("forking", "for i in 1 2 3; do sh -c 'while :; do sleep 1; done' $1 & done; exit 0")
    } }`,
    missing: "exec: { command: [/nothing/here] }",
    not_executable: `${script("not_executable", "exit 0", 0o644)} }`,
    weight: `${script("weight", "exit 42")}, weight_by_exit: true }`,
    user: `${
      script("user", "id -un; test $(id -u) != 0 && test \"$VIPFARM_NODE $VIPFARM_CHECK\" = 'n1 user'")
    }, user: nobody }`,
    nobody: `${script("nobody", "exit 0")}, user: there-is-none }`,
  };
  const lines = Object.entries(checks).map(([name, what]) =>
    `  - { name: ${name}, interval: 400ms, timeout: 300ms, ${what}, on_failure: none, services: [http] }`
  );
  try {
    await using health = new HealthRun(pair.a, directory, `checks:\n${lines.join("\n")}`);
    for (const name of ["good", "forking", "weight", "user"]) await health.untilCheck(name, "up");
    for (const name of ["failing", "hanging", "missing", "not_executable", "nobody"]) {
      await health.untilCheck(name, "down");
    }
    await health.untilReason("good", "up", /good succeeded$/);
    const failing = await health.untilReason(
      "failing",
      "down",
      /failing exited with status 3: no room left on the disk$/,
    );
    assert.equal(failing.output, "first\nno room left on the disk");
    await health.untilReason("hanging", "down", /hanging did not end within 0.3 s and was killed$/);
    await health.untilReason(
      "missing",
      "down",
      /^\/nothing\/here could not be started: there is no such file/,
    );
    await health.untilReason("not_executable", "down", /could not be started: permission denied/);
    await health.untilReason("weight", "up", /gave weight 40$/);
    await health.untilReason("nobody", "down", /no such user/);
    await health.untilStatus("http has that weight", ({ services }) => services.http.weight === 40);
    assert.equal((await health.untilReason("user", "up", /succeeded$/)).output, "nobody");
    // Hanging programs are there while they run, and never more than one of a check.
    assert.ok(
      marked(mark).filter((command) => command.includes("/hanging")).length <= 2,
      marked(mark).join("\n"),
    );

    const before = (await health.status()).rssBytes!;
    script("gigabyte", "head -c 1073741824 /dev/zero | tr '\\0' 'a'; echo; echo the end; exit 1");
    await health.reconfigure(`checks:
  - { name: gigabyte, interval: 40s, timeout: 30s, warm_up: 0s, fall: 1, exec: { command: [${directory}/gigabyte] } }`);
    const since = health.told.length;
    await health.untilCheck("gigabyte", "down", since);
    const after = await health.status();
    const gigabyte = after.state!.checks[0];
    assert.match(gigabyte.reason, /gigabyte exited with status 1: the end$/);
    assert.ok(gigabyte.output!.length <= 4_096, `${gigabyte.output!.length} characters`);
    assert.ok(after.rssBytes! - before < GROWTH_BYTES_MAX, `${(after.rssBytes! - before) / MIB} MiB more`);
    assert.deepEqual(after.state!.checks.map(({ name }) => name), ["gigabyte"], "the others are gone");
    console.log(`a gigabyte of output: ${((after.rssBytes! - before) / MIB).toFixed(0)} MiB more memory`);
    // The scripts of the checks that were taken away are called off, with their children.
    await health.untilStatus("no process is left", () => marked(mark).length === 0);
    // The end of the daemon waits for them too.
    await health.reconfigure(`checks:\n${lines.find((line) => line.includes("name: hanging"))}`);
    await health.untilStatus("the program runs", () => marked(mark).length > 0);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
  assert.deepEqual(marked(mark), []);
});
