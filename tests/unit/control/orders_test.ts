import assert from "node:assert/strict";
import { Orders } from "../../../src/control/orders.ts";
import { type Order, ORDERS_MAX } from "../../../src/wire/heartbeat.ts";

Deno.test("as many orders wait as a heartbeat carries; one more is refused at once, and not given", async () => {
  const given: Order[] = [];
  const orders = new Orders("n1", (order) => void given.push(order));
  const waiting = Array.from({ length: ORDERS_MAX }, () => orders.give("n2", "drain"));
  const refused = await orders.give("n2", "drain");
  assert.ok(refused.outcome === "refused" && refused.code === "too_many_orders", JSON.stringify(refused));
  assert.equal(given.length, ORDERS_MAX);

  orders.settle({ kind: "orderResult", id: given[0].id, target: "n2", code: "done", text: "drained" });
  assert.equal((await waiting[0]).outcome, "done");
  void orders.give("n2", "drain");
  assert.equal(given.length, ORDERS_MAX + 1, "an answer makes room");
});

Deno.test("a refusal comes with its own remedy, and does not name the node again", async () => {
  const given: Order[] = [];
  const orders = new Orders("n1", (order) => void given.push(order));
  const remedies = {
    "no application is configured": /^Give the file an `application`/,
    "needs a restart: services": /^Copy the file to all nodes, then restart/,
    "the file has errors": /^`vipfarm check -c FILE` there/,
    "it is stopping": /^Look at the log of n2\.$/,
  };
  for (const [text, remedy] of Object.entries(remedies)) {
    const refused = orders.give("n2", "reload");
    orders.settle({ kind: "orderResult", id: given.at(-1)!.id, target: "n2", code: "refused", text });
    const result = await refused;
    assert.ok(result.outcome === "refused" && result.message === text, JSON.stringify(result));
    assert.match(result.remedy, remedy);
  }
});
