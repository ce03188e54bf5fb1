import assert from "node:assert/strict";
import { lanWarnings, networkWarnings } from "../../../src/control/warnings.ts";

const network = (changes: object) => ({
  label: "eth1 (multicast 239.255.86.70)",
  sending: true,
  heard: { n2: 100, n3: 100 },
  lost: [] as string[],
  ...changes,
});

Deno.test("networks that deliver everybody are no warning", () => {
  assert.deepEqual(networkWarnings([network({}), network({ label: "eth0" })]), []);
});

Deno.test("who is not heard on a network is named; if it is everybody, the network is", () => {
  const [partial] = networkWarnings([network({ lost: ["n3"] })]);
  assert.equal(partial.kind, "heartbeat.network_partial");
  assert.match(partial.message, /^n3 cannot be heard on eth1/);
  const [lost] = networkWarnings([network({ lost: ["n2", "n3"] })]);
  assert.equal(lost.kind, "heartbeat.network_lost");
});

Deno.test("a network that cannot be sent on is told, unless it is the only one: then the node itself is silent", () => {
  const down = network({ sending: false });
  assert.deepEqual(networkWarnings([network({}), down]).map(({ kind }) => kind), ["heartbeat.network_down"]);
  assert.deepEqual(networkWarnings([down]), []);
});

Deno.test("what the self-test of the LAN found comes with its remedy", () => {
  const finding = { kind: "lan.deaf" as const, deaf: ["n3"], hearing: ["n1"], message: "a", remedy: "b" };
  assert.deepEqual(lanWarnings(finding), [{ kind: "lan.deaf", message: "a", remedy: "b" }]);
  assert.deepEqual(lanWarnings(undefined), []);
});
