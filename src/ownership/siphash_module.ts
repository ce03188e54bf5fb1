/**
 * SipHash-c-d as a WebAssembly module, written out instruction by instruction: WebAssembly has what JavaScript has not,
 * 64-bit integers and their rotation. The bytes are made here, so nothing has to be built or loaded.
 * Source of the encoding: the WebAssembly specification, "Binary Format".
 *
 * The module imports the keyed state and exports {@link SipHashExports}.
 */

/** What an instance offers. A 64-bit word is two 32-bit halves, since its other type in JavaScript is BigInt. */
export interface SipHashExports {
  /** Hashes a message of one padded word, and gives the low half of the hash. */
  readonly hashWord: (low: number, high: number) => number;
  /** The same for three words. */
  readonly hashThreeWords: (l0: number, h0: number, l1: number, h1: number, l2: number, h2: number) => number;
  /** Begins a message of any length. */
  readonly begin: () => void;
  /** Its next word. */
  readonly absorb: (low: number, high: number) => void;
  /** Its end: the low half of the hash. */
  readonly finish: () => number;
  /** The high half of the last hash. */
  readonly high: () => number;
}

/** Names under which an instance is given v0 to v3 as they are before the first word: i64 globals of module "key". */
export const STATE_IMPORTS = ["v0", "v1", "v2", "v3"] as const;

const I32 = 0x7f;
const I64 = 0x7e;
const FUNCTION = 0x60;
const END = 0x0b;
const LOCAL_GET = 0x20;
const LOCAL_SET = 0x21;
const LOCAL_TEE = 0x22;
const GLOBAL_GET = 0x23;
const GLOBAL_SET = 0x24;
const I64_CONST = 0x42;
const I64_ADD = 0x7c;
const I64_OR = 0x84;
const I64_XOR = 0x85;
const I64_SHL = 0x86;
const I64_SHR_U = 0x88;
const I64_ROTL = 0x89;
const I32_WRAP_I64 = 0xa7;
const I64_EXTEND_I32_U = 0xad;

/** Globals: the imported state, then the state of a message under way, then the last hash. */
const GLOBAL_UNDER_WAY = STATE_IMPORTS.length;
const GLOBAL_HASH = 2 * STATE_IMPORTS.length;

type Code = readonly number[];
/** The locals of v0 to v3 follow the parameters, and one more holds a word of the message. */
const LOCALS = STATE_IMPORTS.length + 1;

/** The module for `compressionRounds` for each word and `finalRounds` at the end. */
export function sipHashModule(compressionRounds: number, finalRounds: number): WebAssembly.Module {
  const compress = (v: number, word: Code): Code => [
    ...word,
    ...[LOCAL_TEE, v + 4],
    ...xorInto(v + 3),
    ...repeat(compressionRounds, round(v)),
    ...[LOCAL_GET, v + 4],
    ...xorInto(v),
  ];
  const finish = (v: number): Code => [
    ...[I64_CONST, 0xff, 0x01], // 255 as signed LEB128
    ...xorInto(v + 2),
    ...repeat(finalRounds, round(v)),
    ...[LOCAL_GET, v, LOCAL_GET, v + 1, I64_XOR, LOCAL_GET, v + 2, I64_XOR, LOCAL_GET, v + 3, I64_XOR],
    ...[LOCAL_TEE, v, GLOBAL_SET, GLOBAL_HASH, LOCAL_GET, v, I32_WRAP_I64],
  ];
  const hash = (words: number): Code => {
    const v = 2 * words;
    const pairs = Array.from({ length: words }, (_, i) => compress(v, word(2 * i)));
    return [...load(v, 0), ...pairs.flat(), ...finish(v)];
  };
  const functions: Array<{ name: keyof SipHashExports; parameters: number; result: boolean; code: Code }> = [
    { name: "hashWord", parameters: 2, result: true, code: hash(1) },
    { name: "hashThreeWords", parameters: 6, result: true, code: hash(3) },
    { name: "begin", parameters: 0, result: false, code: [...load(0, 0), ...store(0, GLOBAL_UNDER_WAY)] },
    {
      name: "absorb",
      parameters: 2,
      result: false,
      code: [...load(2, GLOBAL_UNDER_WAY), ...compress(2, word(0)), ...store(2, GLOBAL_UNDER_WAY)],
    },
    { name: "finish", parameters: 0, result: true, code: [...load(0, GLOBAL_UNDER_WAY), ...finish(0)] },
    {
      name: "high",
      parameters: 0,
      result: true,
      code: [GLOBAL_GET, GLOBAL_HASH, I64_CONST, 32, I64_SHR_U, I32_WRAP_I64],
    },
  ];
  const ownGlobals = GLOBAL_HASH + 1 - STATE_IMPORTS.length;
  return new WebAssembly.Module(Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(
      1,
      functions.map(({ parameters, result }) => [
        ...[FUNCTION, parameters, ...Array(parameters).fill(I32)],
        ...(result ? [1, I32] : [0]),
      ]),
    ),
    ...section(2, STATE_IMPORTS.map((name) => [...text("key"), ...text(name), 3, I64, 0])),
    ...section(3, functions.map((_, index) => [index])),
    ...section(6, Array.from({ length: ownGlobals }, () => [I64, 1, I64_CONST, 0, END])),
    ...section(7, functions.map(({ name }, index) => [...text(name), 0, index])),
    ...section(10, functions.map(({ code }) => sized([1, LOCALS, I64, ...code, END]))),
  ]));
}

/** One SipRound on the locals from `v` on. */
function round(v: number): Code {
  const mix = (a: number, b: number, bits: number): Code => [
    ...[LOCAL_GET, v + a, LOCAL_GET, v + b, I64_ADD, LOCAL_SET, v + a],
    ...rotate(v + b, bits),
    ...[LOCAL_GET, v + a],
    ...xorInto(v + b),
  ];
  return [
    ...[...mix(0, 1, 13), ...rotate(v, 32), ...mix(2, 3, 16)],
    ...[...mix(0, 3, 21), ...mix(2, 1, 17), ...rotate(v + 2, 32)],
  ];
}

function rotate(local: number, bits: number): Code {
  return [LOCAL_GET, local, I64_CONST, bits, I64_ROTL, LOCAL_SET, local];
}

/** Changes the local by what is on the stack. */
function xorInto(local: number): Code {
  return [LOCAL_GET, local, I64_XOR, LOCAL_SET, local];
}

/** The word whose halves are the parameters `low` and the one after it. */
function word(low: number): Code {
  return [
    ...[LOCAL_GET, low, I64_EXTEND_I32_U],
    ...[LOCAL_GET, low + 1, I64_EXTEND_I32_U, I64_CONST, 32, I64_SHL, I64_OR],
  ];
}

/** Four globals into the locals from `v` on. */
function load(v: number, global: number): Code {
  return STATE_IMPORTS.flatMap((_, i) => [GLOBAL_GET, global + i, LOCAL_SET, v + i]);
}

function store(v: number, global: number): Code {
  return STATE_IMPORTS.flatMap((_, i) => [LOCAL_GET, v + i, GLOBAL_SET, global + i]);
}

function repeat(times: number, code: Code): Code {
  return Array.from({ length: times }, () => code).flat();
}

function text(value: string): Code {
  return sized([...new TextEncoder().encode(value)]);
}

function section(id: number, items: readonly Code[]): Code {
  return [id, ...sized([...unsigned(items.length), ...items.flat()])];
}

function sized(code: Code): Code {
  return [...unsigned(code.length), ...code];
}

/** LEB128. */
function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}
