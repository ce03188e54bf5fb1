import assert from "node:assert/strict";
import { parseAddress } from "../../../src/core/address.ts";
import { sameName, unheardFarm } from "../../../src/host/look_around.ts";
import type { LanAnswer } from "../../../src/host/lan_findings.ts";
import type { Heard } from "../../../src/host/neighbours.ts";
import type { Heartbeat } from "../../../src/wire/heartbeat.ts";
import { config, NOW_MS } from "./farm.ts";

function heard(message: Partial<Heartbeat> | "foreignFarm" | "version" | "hmac"): Heard {
  const whole = typeof message === "string" ? message : { wallClockMs: NOW_MS, ...message } as Heartbeat;
  return { from: "192.0.2.2", message: whole, atMs: NOW_MS };
}

function answer(byFarm: boolean, others: readonly string[] = []): LanAnswer {
  return { address: parseAddress("192.0.2.100")!, byFarm, others };
}

Deno.test("a node's name is taken by whoever uses it now, not by a recording", () => {
  assert.match(sameName("n1", [heard({ sender: "n1" })])!.problem, /192\.0\.2\.2.* is the node n1 already/);
  assert.equal(sameName("n1", [heard({ sender: "n2" }), heard("foreignFarm")]), undefined);
  assert.equal(sameName("n1", [heard({ sender: "n1", wallClockMs: NOW_MS - 6_000 })]), undefined);
});

Deno.test("a farm that answers must be heard; whose it is depends on what is heard in its place", () => {
  const problem = (answers: LanAnswer[], ...messages: Heard[]) =>
    unheardFarm(config, messages, answers)?.problem;
  assert.match(
    problem([answer(true)])!,
    /^a farm answers for 192\.0\.2\.100, but none of its nodes is heard/,
  );
  assert.match(
    problem([answer(true)], heard("foreignFarm"))!,
    /^a farm with another name or secret .*192\.0\.2\.2$/,
  );
  assert.match(problem([answer(true)], heard("hmac"))!, /none of its nodes is heard/);
  assert.equal(problem([answer(true)], heard("foreignFarm"), heard({ sender: "n2" })), undefined);
  assert.equal(problem([answer(true)], heard("version")), undefined, "rule 13 judges that one");
  assert.equal(problem([answer(false, ["02:00:00:00:00:01"])], heard("foreignFarm")), undefined);
  assert.equal(problem([]), undefined);
});
