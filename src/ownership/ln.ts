/**
 * Natural logarithm that gives the same bits on every machine.
 *
 * `Math.log` may differ between engines and versions (ECMA-262 calls it an "implementation-approximated" value), and
 * one differing bit could make two nodes name different owners for a bucket. This one uses only addition,
 * subtraction, multiplication and division of doubles, which IEEE 754 defines to the last bit, in a fixed order.
 */

/** ln 2 in two parts: the first ends in 21 zero bits, so that its product with an exponent is exact. */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** 2/3, 2/5, … 2/21: the series of 2·atanh(s)/s after its first term. What is left out is below 2^-60 of the sum. */
const SERIES = Float64Array.from({ length: 10 }, (_, i) => 2 / (2 * i + 3));

/** The bits of one double: big-endian in a DataView on every machine. */
const bits = new DataView(new ArrayBuffer(8));

/**
 * ln(x), with a relative error of at most {@link LN_ERROR_MAX}.
 *
 * With x = m·2^k and m between √½ and √2: ln(x) = k·ln 2 + 2·atanh(s), s = (m-1)/(m+1).
 * @param x a positive, finite, normal number
 * @throws RangeError for any other
 */
export function ln(x: number): number {
  if (!(x >= 2.2250738585072014e-308 && x <= Number.MAX_VALUE)) {
    throw new RangeError(`ln needs a positive, finite, normal number, not ${x}`);
  }
  bits.setFloat64(0, x);
  const high = bits.getInt32(0);
  let k = (high >> 20) - 1023;
  bits.setInt32(0, (high & 0xfffff) | 0x3ff00000);
  let m = bits.getFloat64(0);
  if (m > Math.SQRT2) {
    m *= 0.5;
    k += 1;
  }
  const f = m - 1; // exact: m lies within a factor of two of 1
  const s = f / (2 + f);
  const z = s * s;
  let sum = SERIES[9];
  for (let i = 8; i >= 0; i--) sum = sum * z + SERIES[i];
  return k * LN2_HIGH + (2 * s + (s * z * sum + k * LN2_LOW));
}

/**
 * Bound of the relative error of {@link ln}. Two roundings make s, one more joins the series; where k is not 0, the
 * result is at least half as large as k·ln 2 and the last sum rounds once more: four times 2^-53.
 */
export const LN_ERROR_MAX = 2 ** -51;
