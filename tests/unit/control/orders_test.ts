import assert from "node:assert/strict";
import { Orders } from "../../../src/control/orders.ts";
import { type AnswerCode, type Order, ORDERS_MAX } from "../../../src/wire/heartbeat.ts";

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
    no_application: /^Give the file an `application`/,
    needs_restart: /^Copy the file to all nodes, then restart/,
    file_has_errors: /^`vipfarm check -c FILE` there/,
    refused: /^Look at the log of n2\.$/,
  };
  for (const [code, remedy] of Object.entries(remedies)) {
    const text = `the node's own words for ${code}`;
    const refused = orders.give("n2", "reload");
    orders.settle({
      kind: "orderResult",
      id: given.at(-1)!.id,
      target: "n2",
      code: code as AnswerCode,
      text,
    });
    const result = await refused;
    assert.ok(result.outcome === "refused" && result.message === text, JSON.stringify(result));
    assert.equal(result.code, "order_refused");
    assert.match(result.remedy, remedy);
  }
});
