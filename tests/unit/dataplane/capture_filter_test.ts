/** The capture filter, run by an interpreter of classic BPF over made frames. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { BPF_KEEP_ALL } from "../../../ffi/bpf.ts";
import { addressFromBytes } from "../../../src/core/address.ts";
import { captureFilter } from "../../../src/dataplane/capture_filter.ts";
import { type PlannedVip } from "../../../src/dataplane/plan.ts";
import { virtualMac } from "../../../src/wire/ethernet.ts";
import { interpret } from "../ffi/bpf_interpreter.ts";

function frame(etherType: number, parts: Record<number, ArrayLike<number>>): Uint8Array {
  const bytes = new Uint8Array(100);
  new DataView(bytes.buffer).setUint16(12, etherType);
  for (const [offset, part] of Object.entries(parts)) bytes.set(part, Number(offset));
  return bytes;
}

/** The virtual MAC is in the frame's destination, as it is when the address was resolved. */
const macOf = (address: Uint8Array) => virtualMac(addressFromBytes(address), "multicast");
const vipOf = (address: Uint8Array): PlannedVip => ({ address, mac: macOf(address), macIsMulticast: true });

const ipv4 = (to: Uint8Array) => frame(0x0800, { 0: macOf(to), 30: to });
const arp = (target: Uint8Array) => frame(0x0806, { 38: target });
const ipv6 = (to: Uint8Array) => frame(0x86dd, { 0: macOf(to), 38: to });
/** To a solicited-node group, as the first solicitation for an address is. */
const solicitation = (target: Uint8Array) =>
  frame(0x86dd, { 20: [58], 38: [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff], 54: [135], 62: target });

const addressOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
/** Addresses that share words, so that a comparison that stops early is found out. */
const similar = (length: number) =>
  fc.array(fc.constantFrom(0, 1, 0xffff_ffff), { minLength: length / 4, maxLength: length / 4 })
    .map((words) => new Uint8Array(words.flatMap((word) => [word >>> 24, word >>> 16, word >>> 8, word])));
const addresses = fc.array(fc.oneof(addressOf(4), addressOf(16), similar(16)), { maxLength: 32 });

Deno.test("the filter accepts what is for a virtual IP, whole, and rejects all else", () => {
  fc.assert(fc.property(
    addresses,
    fc.oneof(addressOf(4), similar(16), addressOf(16)),
    fc.boolean(),
    (virtualIps, other, pick) => {
      const filter = captureFilter(virtualIps.map(vipOf));
      const address = pick && virtualIps.length > 0 ? virtualIps[virtualIps.length - 1] : other;
      const known = virtualIps.some((each) => each.join() === address.join());
      const wanted = known ? BPF_KEEP_ALL : 0;
      const frames = address.length === 4
        ? [ipv4(address), arp(address)]
        : [ipv6(address), solicitation(address)];
      for (const bytes of frames) {
        assert.equal(interpret(filter, bytes), wanted);
        assert.equal(interpret(filter, bytes, 0xe000), wanted, "a priority tag is no VLAN");
        assert.equal(interpret(filter, bytes, 0xe005), 0, "VLAN 5 is another interface's");
        assert.equal(interpret(filter, bytes.subarray(0, 20)), 0, "cut frames do not pass");
      }
    },
  ));
});

Deno.test("the filter looks at the right places only", () => {
  const vip4 = Uint8Array.of(192, 0, 2, 100);
  const vip6 = Uint8Array.of(0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0);
  const filter = captureFilter([vip4, vip6].map(vipOf));
  assert.equal(interpret(filter, frame(0x0800, { 26: vip4 })), 0, "IPv4 source");
  assert.equal(interpret(filter, frame(0x0806, { 28: vip4 })), 0, "ARP sender");
  assert.equal(interpret(filter, frame(0x86dd, { 22: vip6 })), 0, "IPv6 source");
  assert.equal(
    interpret(filter, frame(0x86dd, { 20: [58], 54: [136], 62: vip6 })),
    0,
    "neighbour advertisement",
  );
  assert.equal(interpret(filter, frame(0x86dd, { 20: [17], 54: [135], 62: vip6 })), 0, "not ICMPv6");
  assert.equal(interpret(filter, frame(0x8100, { 30: vip4 })), 0, "another EtherType");
});

Deno.test("a packet that was sent to another MAC, such as the node's own, is left to the kernel", () => {
  const vip4 = Uint8Array.of(192, 0, 2, 100);
  const filter = captureFilter([vipOf(vip4)]);
  const right = ipv4(vip4);
  assert.equal(interpret(filter, right), BPF_KEEP_ALL);
  for (let byte = 0; byte < 6; byte++) {
    const wrong = right.slice();
    wrong[byte] ^= 1;
    assert.equal(interpret(filter, wrong), 0, `byte ${byte} of the MAC`);
  }
  const request = arp(vip4);
  request.fill(0xff, 0, 6);
  assert.equal(interpret(filter, request), BPF_KEEP_ALL, "ARP is broadcast");
});

Deno.test("32 virtual IPs of each family make a filter that the kernel takes", () => {
  const many = Array.from(
    { length: 32 },
    (_, i) => vipOf(Uint8Array.from({ length: 16 }, (_, at) => at + i)),
  );
  assert.ok(captureFilter(many).length <= 4096);
});
