import assert from "node:assert/strict";
import { kindOf, virtualMachineFindings } from "../../../src/host/virtual_machine.ts";

const MULTICAST = ["multicast"] as const, UNICAST = ["unicast"] as const;
const judge = (driver?: string, kind?: string, modes: readonly ("multicast" | "unicast")[] = MULTICAST) =>
  virtualMachineFindings({ name: "eth0", driver, kind }, modes);

Deno.test("what filters foreign MACs is named with what to set outside", () => {
  assert.match(judge("vmxnet3")[0].remedy!, /forged transmits/);
  assert.match(judge("hv_netvsc")[0].remedy!, /MacAddressSpoofing/);
  assert.match(judge("virtio_net")[0].remedy!, /no-mac-spoofing/);
  assert.ok(["vmxnet3", "hv_netvsc", "virtio_net"].every((driver) => judge(driver)[0].ok === "warning"));
});

Deno.test("a cloud's network cannot do it, an ipvlan neither, a macvlan only by multicast", () => {
  assert.equal(judge("ena")[0].ok, false);
  assert.equal(judge(undefined, "ipvlan")[0].ok, false);
  assert.equal(judge(undefined, "macvlan", UNICAST)[0].ok, "warning");
  assert.deepEqual(judge(undefined, "macvlan"), []);
});

Deno.test("hardware is silent", () => {
  assert.deepEqual(judge("igb"), []);
  assert.deepEqual(judge(undefined, "veth", UNICAST), []);
});

Deno.test("the kind stands in what ip prints", () => {
  assert.equal(kindOf('[{"ifname":"v0","linkinfo":{"info_kind":"veth"}}]'), "veth");
  assert.equal(kindOf('[{"ifname":"eth0"}]'), undefined);
  assert.equal(kindOf(undefined), undefined);
});
