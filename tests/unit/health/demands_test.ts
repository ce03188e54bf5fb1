import assert from "node:assert/strict";
import { demands } from "../../../src/health/demands.ts";
import { RULE_BEGIN } from "../../../src/health/rules.ts";
import { check, config, memory, rule } from "./support.ts";

const NONE = { demand: "none", lastResort: false, reason: "" };

Deno.test("without a failure nothing is asked for", () => {
  const all = config([check("web")], [rule("check.web.down", ["web"])]);
  assert.deepEqual(demands(all, [memory("up")], [RULE_BEGIN], 0), {
    services: { http: NONE, dns: NONE },
    node: { demand: "none", reason: "", sinceMs: undefined },
  });
});

Deno.test("a check that is down asks for its own services only, with its reason", () => {
  const all = config([check("web", { services: ["http"], onFailure: "fail" })]);
  const down = memory("down", { last: { good: false, reason: "connection refused" } });
  assert.deepEqual(demands(all, [down], [], 0).services, {
    http: { demand: "fail", lastResort: true, check: "web", reason: "check web is down: connection refused" },
    dns: NONE,
  });
});

Deno.test("the strongest demand counts, and every one that asks must allow the last resort", () => {
  const all = config([
    check("a", { onFailure: "none" }),
    check("b", { onFailure: "leave" }),
    check("c", { onFailure: "fail" }),
    check("d", { onFailure: "leave", lastResort: false, services: ["dns"] }),
  ]);
  const { services } = demands(all, Array(4).fill(memory("down")), [], 0);
  assert.deepEqual([services.http.demand, services.http.check, services.http.lastResort], [
    "fail",
    "c",
    true,
  ]);
  assert.deepEqual([services.dns.demand, services.dns.check, services.dns.lastResort], ["fail", "c", false]);
});

Deno.test("restart and stop take the services' flows away as a drain does; stop outweighs restart", () => {
  const all = config([
    check("a", { onFailure: "restart", services: ["http"] }),
    check("b", { onFailure: "stop" }),
  ]);
  const one = demands(all, [memory("down", { sinceMs: 7 }), memory("up")], [], 9);
  assert.equal(one.services.http.demand, "leave");
  assert.equal(one.services.dns.demand, "none");
  assert.deepEqual(one.node, {
    demand: "restart",
    check: "a",
    reason: "check a is down: as it is",
    sinceMs: 7,
  });
  const both = demands(all, [memory("down"), memory("down")], [], 9);
  assert.deepEqual([both.node.demand, both.node.check], ["stop", "b"]);
});

Deno.test("before its first verdict a check holds its services back, and asks nothing of the application", () => {
  const all = config([check("a", { onFailure: "restart" }), check("b", { onFailure: "none" })]);
  const before = demands(all, [memory("pending"), memory("pending")], [], 0);
  assert.deepEqual([before.services.http.demand, before.services.http.check], ["leave", "a"]);
  assert.equal(before.node.demand, "none");
  const known = memory("pending", { holdsBack: false });
  assert.deepEqual(demands(all, [known, known], [], 0).services.http, NONE);
});

Deno.test("a failure is a better reason than a check without a verdict", () => {
  const all = config([check("a"), check("b")]);
  assert.equal(demands(all, [memory("pending"), memory("down")], [], 0).services.http.check, "b");
});

Deno.test("a rule asks as a check does, from the moment on at which it takes effect", () => {
  const all = config([check("db", { onFailure: "none" })], [
    rule("check.db.down", ["db"], { name: "no_db", action: "restart", afterMs: 2_000, lastResort: false }),
  ]);
  const held = [{ heldSinceMs: 1_000 }];
  assert.equal(demands(all, [memory("down")], held, 2_999).node.demand, "none");
  const { services, node } = demands(all, [memory("down")], held, 3_000);
  assert.deepEqual(node, {
    demand: "restart",
    check: "no_db",
    reason: "rule no_db applies: check.db.down",
    sinceMs: 3_000,
  });
  assert.deepEqual(services.dns, {
    demand: "leave",
    lastResort: false,
    check: "no_db",
    reason: "rule no_db applies: check.db.down",
  });
});

Deno.test("the least weight that checks give a service counts", () => {
  const all = config([check("a"), check("b", { services: ["http"] }), check("c")]);
  const gives = (weight?: number) => memory("up", { last: { good: true, reason: "", weight } });
  const { services } = demands(all, [gives(50), gives(20), gives()], [], 0);
  assert.deepEqual([services.http.weight, services.dns.weight], [20, 50]);
  assert.ok(!("weight" in demands(all, Array(3).fill(memory("up")), [], 0).services.http));
});
