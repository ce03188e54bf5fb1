import assert from "node:assert/strict";
import { parseAddress } from "../../../src/core/address.ts";
import {
  formatMac,
  isGroupMac,
  parseMac,
  solicitedNodeAddress,
  solicitedNodeMac,
  virtualMac,
} from "../../../src/wire/ethernet.ts";

const vip4 = parseAddress("192.0.2.100")!;
const vip6 = parseAddress("2001:db8::a1b2:c3d4")!;

Deno.test("the virtual MAC comes from the address and the mode alone", () => {
  assert.equal(formatMac(virtualMac(vip4, "multicast")), "03:76:c0:00:02:64");
  assert.equal(formatMac(virtualMac(vip4, "unicast")), "02:76:c0:00:02:64");
  assert.equal(formatMac(virtualMac(vip6, "multicast")), "03:77:a1:b2:c3:d4");
  assert.equal(formatMac(virtualMac(vip6, "unicast")), "02:77:a1:b2:c3:d4");
});

Deno.test("virtual MACs are locally administered, and group addresses only in mode multicast", () => {
  for (const address of [vip4, vip6]) {
    for (const mode of ["multicast", "unicast"] as const) {
      const mac = virtualMac(address, mode);
      assert.equal(mac[0] & 2, 2);
      assert.equal(isGroupMac(mac), mode === "multicast");
    }
  }
});

Deno.test("the solicited-node group has the last 24 bits of the address", () => {
  assert.equal(formatMac(solicitedNodeMac(vip6)), "33:33:ff:b2:c3:d4");
  assert.deepEqual(solicitedNodeAddress(vip6), parseAddress("ff02::1:ffb2:c3d4")!.bytes);
});

Deno.test("a MAC is read back as it was written, in both notations", () => {
  const mac = Uint8Array.of(0x00, 0x1b, 0x44, 0x11, 0x3a, 0xb7);
  assert.equal(formatMac(mac), "00:1b:44:11:3a:b7");
  assert.deepEqual(parseMac("00:1b:44:11:3a:b7"), mac);
  assert.deepEqual(parseMac("00-1B-44-11-3A-B7"), mac);
  assert.equal(formatMac(Uint8Array.of(9, 9, ...mac), 2), "00:1b:44:11:3a:b7");
});

Deno.test("anything else is no MAC", () => {
  const wrong = [
    "",
    "00:1b:44:11:3a",
    "00:1b:44:11:3a:b7:00",
    "00:1b-44:11:3a:b7",
    "0:1b:44:11:3a:b7",
    "00:1b:44:11:3a:bg",
    " 00:1b:44:11:3a:b7",
    "001b44113ab7",
  ];
  for (const text of wrong) assert.equal(parseMac(text), undefined, text);
});
