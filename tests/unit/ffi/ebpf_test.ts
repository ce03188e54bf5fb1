/** Extended BPF: the assembler, and maps and programs in the real kernel where it permits them. */

import assert from "node:assert/strict";
import { attachProgram, BpfMemory, BpfProgram } from "../../../ffi/ebpf.ts";
import { EbpfAssembler } from "../../../ffi/ebpf_assembler.ts";
import { SystemError } from "../../../ffi/errors.ts";
import { bpfUnavailable } from "./ebpf_support.ts";

if (bpfUnavailable !== undefined) console.log(`skipped: ${bpfUnavailable}`);
const ignore = bpfUnavailable !== undefined;

Deno.test("instructions are written as the kernel reads them, jumps as distances", () => {
  const code = new EbpfAssembler()
    .load(4, 0, 1, 16).jumpIf("equal", 0, -2, "end").loadConstant(3, 0x1122_3344_8899_aabbn)
    .label("end").exit().assemble();
  assert.deepEqual([...code], [
    ...[0x61, 0x10, 16, 0, 0, 0, 0, 0],
    ...[0x16, 0x00, 2, 0, 0xfe, 0xff, 0xff, 0xff],
    ...[0x18, 0x03, 0, 0, 0xbb, 0xaa, 0x99, 0x88],
    ...[0x00, 0x00, 0, 0, 0x44, 0x33, 0x22, 0x11],
    ...[0x95, 0x00, 0, 0, 0, 0, 0, 0],
  ]);
});

Deno.test("the assembler refuses labels that are missing, double or behind", () => {
  const refused = (program: () => unknown, problem: RegExp) => assert.throws(program, { message: problem });
  refused(() => new EbpfAssembler().jump("there").exit().assemble(), /no such label \(there\)/);
  refused(() => new EbpfAssembler().label("a").label("a"), /defined twice \(a\)/);
  refused(() => new EbpfAssembler().label("a").exit().jump("a").assemble(), /a jump goes back \(a\)/);
});

/** Runs a program that begins with `packet` on the stack, 8 bytes from r10 - 8 on, and returns r0. */
function run(build: (program: EbpfAssembler) => EbpfAssembler, packet: number[]): number {
  const program = new EbpfAssembler().compute("move", 6, 1).readPacket(6, 0, 8, -8, "short");
  const code = build(program).exit().label("short").moveWord(0, 77).exit().assemble();
  using filter = BpfProgram.load("socketFilter", "vft_run", code);
  // In front: what the kernel takes for an Ethernet header.
  return filter.testRun(Uint8Array.from([...new Array(14).fill(0), ...packet])).result;
}

Deno.test({ name: "each kind of instruction does what it says", ignore }, () => {
  const packet = [0x01, 0x02, 0x83, 0x04, 0xf5, 0x06, 0x07, 0x08];
  assert.equal(run((p) => p.load(1, 0, 10, -8), packet), 0x01);
  assert.equal(run((p) => p.load(2, 0, 10, -8).fromNetwork16(0), packet), 0x0102);
  assert.equal(run((p) => p.load(4, 0, 10, -8), packet), 0x04830201);
  assert.equal(run((p) => p.load(8, 0, 10, -8).computeConstant("shiftRight", 0, 32), packet), 0x080706f5);
  assert.equal(
    run((p) => p.loadConstant(1, 7n << 40n).computeConstant("move", 0, 0).compute("or", 0, 1), packet),
    0,
  );
  assert.equal(run((p) => p.moveWord(0, -1).computeConstant("shiftRight", 0, 31), packet), 1);
  for (
    const [condition, constant, taken] of [["equal", 1, 1], ["notEqual", 1, 0], ["above", 0, 1]] as const
  ) {
    const jump = (p: EbpfAssembler) =>
      p.load(1, 1, 10, -8).moveWord(0, 1).jumpIf(condition, 1, constant, "end").moveWord(0, 0).label("end");
    assert.equal(run(jump, packet), taken, `${condition} ${constant}`);
  }
  assert.equal(run((p) => p.moveWord(0, 0), packet.slice(1)), 77, "too short a packet");
});

Deno.test({ name: "a map is one memory for the program and this process", ignore }, () => {
  using map = BpfMemory.create("vft_map", 16);
  const mapping = map.map();
  const { memory } = mapping;
  memory[8] = 5;
  const code = new EbpfAssembler().loadMapAddress(1, map.fd).load(1, 0, 1, 8)
    .computeConstant("move", 2, 3).addAtomically(1, 0, 2).exit().assemble();
  using filter = BpfProgram.load("socketFilter", "vft_map", code);
  assert.equal(filter.testRun(new Uint8Array(64), 4).result, 5);
  assert.equal(memory[0], 12, "added four times");

  using again = BpfMemory.adopt(map.fd, 16).map();
  memory[9] = 7;
  assert.equal(again.memory[9], 7, "another mapping is the same memory");
  mapping.close();
  mapping.close();
  assert.equal(memory.length, 0, "a view of closed memory is empty");
  assert.equal(again.memory[9], 7, "and leaves the other mapping alone");
});

Deno.test({ name: "a refused program is told with the verifier's words", ignore }, () => {
  assert.throws(
    () => BpfProgram.load("socketFilter", "vft_bad", new EbpfAssembler().exit().assemble()),
    (error: SystemError) => {
      assert.match(error.message, /load BPF program: .*R0 !read_ok.*\(1 instructions\)/);
      return true;
    },
  );
});

Deno.test({ name: "a descriptor that is no program cannot be attached", ignore }, () => {
  using map = BpfMemory.create("vft_map", 8);
  assert.throws(() => attachProgram(map.fd, map.fd), SystemError);
});
