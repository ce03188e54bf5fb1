/**
 * SipHash-1-3 as instructions of extended BPF: the same function as ownership/siphash.ts, where 64-bit registers make it
 * short. The state v0 to v3 is in r2 to r5; r0 and r1 are used on the way.
 */
import { type EbpfAssembler, type Register } from "../../ffi/ebpf_assembler.ts";

const V0: Register = 2;
const V1: Register = 3;
const V2: Register = 4;
const V3: Register = 5;
const SCRATCH: Register = 1;

/** "somepseudorandomlygeneratedbytes", as in the paper. */
const INITIAL = [0x736f6d6570736575n, 0x646f72616e646f6dn, 0x6c7967656e657261n, 0x7465646279746573n] as const;

/** The state before the first word: the constants, keyed. */
export function startHash(program: EbpfAssembler, key: Uint8Array): void {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const halves = [view.getBigUint64(0, true), view.getBigUint64(8, true)];
  [V0, V1, V2, V3].forEach((register, i) => program.loadConstant(register, INITIAL[i] ^ halves[i & 1]));
}

/** Takes in the word in `word`: one round. */
export function compressWord(program: EbpfAssembler, word: Register): void {
  program.compute("xor", V3, word);
  round(program);
  program.compute("xor", V0, word);
}

/** Three rounds; the result is in `result`. */
export function finishHash(program: EbpfAssembler, result: Register): void {
  program.computeConstant("xor", V2, 0xff);
  for (let i = 0; i < 3; i++) round(program);
  program.compute("move", result, V0).compute("xor", result, V1).compute("xor", result, V2)
    .compute("xor", result, V3);
}

function round(program: EbpfAssembler): void {
  const mix = (a: Register, b: Register, bits: number) => {
    program.compute("add", a, b);
    rotate(program, b, bits);
    program.compute("xor", b, a);
  };
  mix(V0, V1, 13);
  rotate(program, V0, 32);
  mix(V2, V3, 16);
  mix(V0, V3, 21);
  mix(V2, V1, 17);
  rotate(program, V2, 32);
}

/** There is no instruction for it. */
function rotate(program: EbpfAssembler, register: Register, bits: number): void {
  program.compute("move", SCRATCH, register).computeConstant("shiftLeft", register, bits)
    .computeConstant("shiftRight", SCRATCH, 64 - bits).compute("or", register, SCRATCH);
}
