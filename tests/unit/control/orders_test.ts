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
