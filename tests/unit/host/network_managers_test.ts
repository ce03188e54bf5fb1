import assert from "node:assert/strict";
import { firstForTun, leavesTunAlone } from "../../../src/host/network_managers.ts";

const file = (path: string, text: string) => ({ path, text });
const takes = (text: string) => firstForTun([file("10.network", text)]) !== undefined;

Deno.test("the first file that fits to the TUN device counts", () => {
  const all = file("50-all.network", "[Match]\nName=*\n[Network]\nDHCP=yes\n");
  const ours = file("05-vipfarm.network", "[Match]\nName=vipfarm*\n\n[Link]\nUnmanaged=yes\n");
  assert.deepEqual(firstForTun([all]), { path: "50-all.network", unmanaged: false });
  assert.deepEqual(firstForTun([ours, all]), { path: "05-vipfarm.network", unmanaged: true });
});

Deno.test("conditions: names with wildcards and negations, types, kinds, and those that no TUN device meets", () => {
  assert.ok(takes("[Match]\nName=eth0 vip*\n"));
  assert.ok(takes("[Match]\nName=!eth*\n"));
  assert.ok(takes("[Match]\nType=none\nKind=tun\n"));
  assert.ok(!takes("[Match]\nName=eth*\n"));
  assert.ok(!takes("[Match]\nName=!vipfarm*\n"));
  assert.ok(!takes("[Match]\nType=ether\n"));
  assert.ok(!takes("[Match]\nName=*\nMACAddress=00:11:22:33:44:55\n"));
  assert.ok(!takes("[Network]\nDHCP=yes\n"), "without a condition");
});

Deno.test("NetworkManager is told by the name of the interface", () => {
  assert.ok(
    leavesTunAlone("[main]\n[keyfile]\nunmanaged-devices=mac:00:11:22:33:44:55;interface-name:vipfarm*\n"),
  );
  assert.ok(!leavesTunAlone("[keyfile]\nunmanaged-devices=interface-name:veth*\n"));
  assert.ok(!leavesTunAlone("# [keyfile]\n[main]\nunmanaged-devices=interface-name:vipfarm*\n"));
});
