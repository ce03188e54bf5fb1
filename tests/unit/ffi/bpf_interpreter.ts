/** Classic BPF as the kernel runs it, as far as vipfarm's filters use it. */

import assert from "node:assert/strict";
import { type BpfInstruction } from "../../../ffi/bpf.ts";

/** What the kernel does with the instructions in use (`Documentation/networking/filter.rst`). */
export function interpret(program: readonly BpfInstruction[], frame: Uint8Array, vlanTag = 0): number {
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
