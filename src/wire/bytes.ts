/**
 * Big-endian reads and writes at any alignment, with plain byte accesses: the engine inlines them into the
 * caller, they cost no DataView per buffer, and they work on any Uint8Array, a mapped packet ring included.
 * None of them checks bounds; every caller has compared with the captured length before.
 */

/** The unsigned 16-bit number in network order at `at`. */
export function readUint16(bytes: Uint8Array, at: number): number {
  return bytes[at] << 8 | bytes[at + 1];
}

/**
 * The 32-bit number in network order at `at`, as a *signed* integer: it stays a small integer for the engine,
 * where an unsigned one above 2^31 would become a double.
 */
export function readInt32(bytes: Uint8Array, at: number): number {
  return bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3];
}

/** Writes the low 16 bits of `value` in network order. */
export function writeUint16(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 8;
  out[at + 1] = value;
}

/** Writes the low 32 bits of `value` (signed or unsigned) in network order. */
export function writeUint32(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
}

/** Copies `length` bytes; unlike `out.set(from.subarray(…))` it makes no view object. */
export function copyBytes(
  out: Uint8Array,
  at: number,
  from: Uint8Array,
  fromOffset: number,
  length: number,
): void {
  for (let i = 0; i < length; i++) out[at + i] = from[fromOffset + i];
}

/** Whether `length` bytes at both places are equal; makes no view object. */
export function sameBytes(
  left: Uint8Array,
  leftOffset: number,
  right: Uint8Array,
  rightOffset: number,
  length: number,
): boolean {
  for (let i = 0; i < length; i++) if (left[leftOffset + i] !== right[rightOffset + i]) return false;
  return true;
}
