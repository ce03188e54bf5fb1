/** The assembler of packet filters, and how the kernel is given them. */

import assert from "node:assert/strict";
import { BpfAssembler, encodeFilter } from "../../../ffi/bpf.ts";

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
