import assert from "node:assert/strict";
import fc from "fast-check";
import { type IpAddress, parseAddress } from "../../../src/core/address.ts";
import { VipfarmError } from "../../../src/core/errors.ts";
import { explainFlow } from "../../../src/ownership/explain.ts";
import { AFFINITY, FlowHash } from "../../../src/ownership/flow_hash.ts";
import { Columns } from "../../../src/ownership/rendezvous.ts";
import { OwnerTable } from "../../../src/ownership/table.ts";
import { flow } from "./arbitraries.ts";

const flowKey = new Uint8Array(16).fill(3);
const rendezvousKey = new Uint8Array(32).fill(4);
const client: IpAddress = parseAddress("198.51.100.7") ?? assert.fail();
const question = { client, port: 40_000, affinity: AFFINITY.connection, flowKey, rendezvousKey };
const farm = (...weights: number[]) => weights.map((weight, i) => ({ name: `n${i + 1}`, weight }));

Deno.test("the explanation names whom the packet path's table names", () => {
  const columns = new Columns(rendezvousKey);
  const members = farm(100, 50, 0, 200);
  const table = OwnerTable.build(members.map((m) => ({ ...m, column: columns.of(m.name) })));
  const hash = new FlowHash(flowKey);
  fc.assert(fc.property(flow, ({ client, port, affinity }) => {
    const told = explainFlow({ ...question, client, port, affinity: AFFINITY[affinity] }, members);
    const bucket = hash.bucket(AFFINITY[affinity], client.bytes, 0, client.family, port);
    assert.equal(told.bucket, bucket);
    assert.equal(told.owner, members[table.owner[bucket]].name);
    assert.equal(told.runnerUp, members[table.runnerUp[bucket]].name);
    assert.equal(told.scores.length, 4);
    assert.equal(told.scores[0].name, told.owner);
    assert.equal(told.scores[3].name, "n3"); // weight 0 comes last
  }));
});

Deno.test("the reason is told in sentences, with the figures", () => {
  const { why, bucket } = explainFlow(question, farm(100, 100, 0));
  const pattern = new RegExp(
    `^The client address and port \\(198\\.51\\.100\\.7, 40000\\) hashes to bucket ${bucket} of 65536\\. ` +
      "n[12] has the highest score for it \\(score [\\d.e+]+, weight 100\\); " +
      "if it leaves, n[12] takes over \\(score [\\d.e+]+, weight 100\\)\\. Weight 0, hence no new flows: n3\\.$",
  );
  assert.match(why, pattern);
  const network = explainFlow({ ...question, affinity: AFFINITY.network, port: undefined }, farm(1));
  assert.match(
    network.why,
    /^The client network \(the \/24 of 198\.51\.100\.7\).* n1 is the only eligible member/,
  );
  assert.equal(network.runnerUp, undefined);
});

Deno.test("with nobody eligible the explanation says so and names no owner", () => {
  const none = explainFlow(question, []);
  assert.equal("owner" in none, false);
  assert.match(none.why, /There are no members\.$/);
  const drained = explainFlow(question, farm(0, 0));
  assert.equal("owner" in drained || "runnerUp" in drained, false);
  assert.match(drained.why, /nobody answers new flows\.$/);
});

Deno.test("the port is asked for where it decides, and only there", () => {
  for (const port of [undefined, -1, 65_536, 1.5]) {
    assert.throws(
      () => explainFlow({ ...question, port }, farm(1)),
      (error) =>
        error instanceof VipfarmError && error.exitCode === 2 &&
        error.remedy === "Ask for 198.51.100.7:PORT with the client's port.",
    );
  }
  const withPort = explainFlow({ ...question, affinity: AFFINITY.client }, farm(1, 1));
  const without = explainFlow({ ...question, affinity: AFFINITY.client, port: undefined }, farm(1, 1));
  assert.deepEqual(withPort, without);
});
