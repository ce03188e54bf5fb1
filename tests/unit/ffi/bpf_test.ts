/** The filter for virtual IPs, run by a small interpreter of classic BPF over made frames. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  BPF_KEEP_ALL,
  BpfAssembler,
  type BpfInstruction,
  encodeFilter,
  virtualIpFilter,
} from "../../../ffi/bpf.ts";

/** What the kernel does with the instructions in use (`Documentation/networking/filter.rst`). */
function interpret(program: readonly BpfInstruction[], frame: Uint8Array, vlanTag = 0): number {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  let accumulator = 0;
  for (let counter = 0;; counter++) {
    const { code, jt, jf, k } = program[counter];
    const load = (bytes: number, read: () => number): boolean => {
      if (k === (-0x1000 + 44) >>> 0) accumulator = vlanTag;
      else if (k + bytes > frame.length) return false;
      else accumulator = read();
      return true;
    };
    switch (code) {
      case 0x20:
        if (!load(4, () => view.getUint32(k))) return 0;
        break;
      case 0x28:
        if (!load(2, () => view.getUint16(k))) return 0;
        break;
      case 0x30:
        if (!load(1, () => view.getUint8(k))) return 0;
        break;
      case 0x15:
        counter += accumulator === k >>> 0 ? jt : jf;
        break;
      case 0x45:
        counter += (accumulator & k) !== 0 ? jt : jf;
        break;
      case 0x05:
        counter += k;
        break;
      case 0x06:
        return k;
      default:
        assert.fail(`unknown instruction ${code}`);
    }
  }
}

function frame(etherType: number, parts: Record<number, ArrayLike<number>>): Uint8Array {
  const bytes = new Uint8Array(100);
  new DataView(bytes.buffer).setUint16(12, etherType);
  for (const [offset, part] of Object.entries(parts)) bytes.set(part, Number(offset));
  return bytes;
}

const ipv4 = (to: Uint8Array) => frame(0x0800, { 30: to });
const arp = (target: Uint8Array) => frame(0x0806, { 38: target });
const ipv6 = (to: Uint8Array) => frame(0x86dd, { 38: to });
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
      const filter = virtualIpFilter(virtualIps);
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
  const filter = virtualIpFilter([vip4, vip6]);
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

Deno.test("the assembler refuses what the kernel would refuse, or worse, accept", () => {
  assert.throws(() => new BpfAssembler().assemble(), /1 to 4096 instructions/);
  assert.throws(() => new BpfAssembler().jump("nowhere").assemble(), /no such label \(nowhere\)/);
  assert.throws(() => new BpfAssembler().label("back").accept().jump("back").assemble(), /goes back/);
  assert.throws(() => new BpfAssembler().label("twice").label("twice"), /defined twice/);
  const long = new BpfAssembler().jumpIfEqual(1, "far");
  for (let count = 0; count < 256; count++) long.accept();
  assert.throws(() => long.label("far").reject().assemble(), /longer than 255/);
});

Deno.test("instructions are encoded as the kernel reads them", () => {
  const filter = new BpfAssembler().load(12, 2).jumpIfEqual(0x0800, "yes").reject().label("yes").accept()
    .assemble();
  assert.deepEqual([...encodeFilter(filter)], [
    ...[0x28, 0, 0, 0, 12, 0, 0, 0],
    ...[0x15, 0, 1, 0, 0, 8, 0, 0],
    ...[0x06, 0, 0, 0, 0, 0, 0, 0],
    ...[0x06, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
  ]);
});
