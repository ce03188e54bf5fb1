/** What the kernel tells at once: carriers, addresses, ends of processes. The times stand in the output. */

import assert from "node:assert/strict";
import { boottimeMs } from "../../ffi/clock.ts";
import { missingPrivilege, Pair } from "./ffi_support.ts";
import { HealthRun } from "./health_support.ts";

const ignore = missingPrivilege !== undefined;
/** Far below the checks' interval of a minute: only a notification can be this fast. A machine may be busy. */
const AT_ONCE_MS_MAX = 5_000;
const SLOW = "interval: 1m, warm_up: 0s";
const ROUNDS = 5;

function note(what: string, tookMs: readonly number[]): void {
  console.log(`${what}: ${tookMs.map((ms) => ms.toFixed(1)).join(", ")} ms`);
  assert.ok(Math.max(...tookMs) < AT_ONCE_MS_MAX, what);
}

Deno.test(
  { name: "loss of carrier and of an address is known at once, and so is their return", ignore },
  async () => {
    const directory = Deno.makeTempDirSync({ prefix: "vft-health-" });
    using pair = new Pair();
    try {
      await using health = new HealthRun(
        pair.a,
        directory,
        `checks:
  - { name: carrier, ${SLOW}, rise: 1, interface: {} }
  - { name: address, ${SLOW}, rise: 1, interface: { name: va, addresses: [10.77.0.1] }, services: [http] }
  - { name: absent, ${SLOW}, rise: 1, interface: { name: vx }, on_failure: none }`,
      );
      await health.untilCheck("carrier", "up");
      await health.untilCheck("address", "up");
      await health.untilCheck("absent", "down");
      const lost: number[] = [], back: number[] = [], moved: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        let since = health.told.length, atMs = boottimeMs();
        pair.b.ip("link", "set", "vb", "down");
        lost.push((await health.untilCheck("carrier", "down", since)).atMs - atMs);
        assert.equal(health.check("carrier").reason, "va has no carrier");
        since = health.told.length, atMs = boottimeMs();
        pair.b.ip("link", "set", "vb", "up");
        back.push((await health.untilCheck("carrier", "up", since)).atMs - atMs);
        await health.untilCheck("address", "up", since);
      }
      for (let round = 0; round < ROUNDS; round++) {
        let since = health.told.length;
        const atMs = boottimeMs();
        pair.a.ip("address", "del", "10.77.0.1/24", "dev", "va");
        moved.push((await health.untilCheck("address", "down", since)).atMs - atMs);
        assert.equal(health.check("address").reason, "va does not have 10.77.0.1");
        since = health.told.length;
        pair.a.ip("address", "add", "10.77.0.1/24", "dev", "va");
        await health.untilCheck("address", "up", since);
      }
      note("carrier lost, known after", lost);
      note("carrier back, known after", back);
      note("address gone, known after", moved);
      const since = health.told.length;
      pair.a.ip("link", "add", "vx", "type", "veth", "peer", "name", "vy");
      pair.a.ip("link", "set", "vy", "up");
      pair.a.ip("link", "set", "vx", "up");
      await health.untilCheck("absent", "up", since);
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  },
);

Deno.test({
  name: "the end of a process is known at once, however it is named; what comes in its place is found",
  ignore,
}, async () => {
  const directory = Deno.makeTempDirSync({ prefix: "vft-health-" });
  using pair = new Pair();
  /** A process with a command line of its own. */
  const mark = `vft-${crypto.randomUUID()}`;
  const spawn = () => {
    const child = new Deno.Command("sh", {
      args: ["-c", "while :; do sleep 1000; done", mark],
      stdin: "null",
    }).spawn();
    Deno.writeTextFileSync(`${directory}/app.pid`, `${child.pid}\n`);
    return child;
  };
  let child = spawn();
  const children = [child];
  try {
    await using health = new HealthRun(
      pair.a,
      directory,
      `checks:
  - { name: by_arguments, interval: 300ms, process: { name: sh, arguments: " ${mark}$" }, on_failure: fail }
  - { name: by_file, interval: 300ms, process: { pid_file: app.pid }, services: [http], on_failure: leave }
  - { name: two, interval: 300ms, process: { arguments: " ${mark}$", at_least: 2 }, on_failure: none }
  - { name: none, interval: 300ms, process: { name: ${mark}, at_least: 0, at_most: 0 }, on_failure: none }
  - { name: unit, interval: 300ms, process: { systemd_unit: ${mark}.service }, on_failure: none }`,
    );
    await health.untilCheck("by_arguments", "up");
    await health.untilCheck("by_file", "up");
    await health.untilCheck("two", "down");
    await health.untilCheck("none", "up");
    await health.untilCheck("unit", "down");
    assert.equal(health.check("two").reason, `1 process of command line  ${mark}$, expected at least 2`);
    const took: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      let since = health.told.length;
      const atMs = boottimeMs();
      child.kill("SIGKILL");
      const byArguments = await health.untilCheck("by_arguments", "down", since);
      const byFile = await health.untilCheck("by_file", "down", since);
      took.push(byArguments.atMs - atMs, byFile.atMs - atMs);
      assert.deepEqual([health.state.services.http.demand, health.state.services.dns.demand], [
        "fail",
        "fail",
      ]);
      since = health.told.length;
      children.push(child = spawn());
      await health.untilCheck("by_arguments", "up", since);
      await health.untilCheck("by_file", "up", since);
    }
    note("process killed, known after", took);
    children.push(spawn());
    await health.untilCheck("two", "up");
    assert.equal(health.state.services.http.demand, "none");
  } finally {
    for (const each of children) {
      try {
        each.kill("SIGKILL");
      } catch {
        // It has ended already.
      }
      await each.status;
    }
    Deno.removeSync(directory, { recursive: true });
  }
});
