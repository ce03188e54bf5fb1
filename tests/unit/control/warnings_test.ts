import assert from "node:assert/strict";
import { type MemberStatus } from "../../../src/admin/source.ts";
import {
  configWarnings,
  fileWarnings,
  lanWarnings,
  missingWarnings,
  networkWarnings,
} from "../../../src/control/warnings.ts";

const network = (changes: object) => ({
  interface: "eth1",
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

Deno.test("a network that cannot be sent on is told, and what that means, if it is the only one or not", () => {
  const down = network({ sending: false });
  const [other] = networkWarnings([network({}), down]);
  assert.equal(other.kind, "heartbeat.network_down");
  assert.match(other.message, /the farm lives by another network/);
  assert.match(networkWarnings([down])[0].message, /this node serves nobody until they can/);
});

Deno.test("what the self-test of the LAN found comes with its remedy", () => {
  const finding = {
    kind: "lan.deaf" as const,
    deaf: ["n3"],
    hearing: ["n1"],
    about: "n3",
    message: "a",
    remedy: "b",
  };
  assert.deepEqual(lanWarnings(finding), [{ kind: "lan.deaf", message: "a", remedy: "b" }]);
  assert.deepEqual(lanWarnings(undefined), []);
});

Deno.test("nodes that the file expects are missed, once this node knows the others", () => {
  const members = [{ name: "n1" }, { name: "n2" }];
  assert.deepEqual(missingWarnings(["n1", "n2"], members), []);
  assert.deepEqual(missingWarnings([], members), []);
  assert.deepEqual(missingWarnings(["n1", "n3"], []), []);
  const [{ kind, message }] = missingWarnings(["n1", "n3", "n4"], members);
  assert.equal(kind, "member.missing");
  assert.match(message, /^n3, n4 are in the file/);
});

Deno.test("a file that was refused is told, with what helps against it", () => {
  assert.deepEqual(fileWarnings(undefined), []);
  assert.match(
    fileWarnings({ code: "file_has_errors", text: "the file has errors" })[0].remedy,
    /check -c FILE/,
  );
  assert.match(
    fileWarnings({ code: "needs_restart", text: "needs a restart: services" })[0].remedy,
    /^Restart/,
  );
});

Deno.test("nodes with another configuration are named, with a remedy also for what a reload refuses", () => {
  const member = (name: string, digest: string) => ({ name, digest }) as MemberStatus;
  assert.deepEqual(configWarnings([member("n1", "a"), member("n2", "a")], "a"), []);
  const [warning] = configWarnings([member("n1", "a"), member("n2", "b"), member("n3", "b")], "a");
  assert.equal(warning.message, "n2, n3 run another configuration than this node.");
  assert.match(warning.remedy, /vipfarm reload NODE.*restart .* one after the other/);
});
