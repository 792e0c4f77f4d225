/**
 * Conversions between float32 and the two 16-bit formats, on bit patterns, so that NaN payloads and
 * signed zeros survive. All typed arrays are in the machine's byte order; every JavaScript engine in use
 * runs little-endian, the byte order of safetensors.
 */

/** Float32 bits of each of the 65536 float16 values. */
let widened: Uint32Array | undefined;

function float16Table(): Uint32Array {
  if (widened) return widened;
  widened = new Uint32Array(1 << 16);
  for (let half = 0; half < widened.length; half++) {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    if (exponent === 0x1f) {
      widened[half] = sign | 0x7f800000 | (fraction << 13);
    } else if (exponent > 0) {
      widened[half] = sign | ((exponent - 15 + 127) << 23) | (fraction << 13);
    } else if (fraction > 0) {
      // Subnormal, fraction * 2^-24: shift the leading one up to the place of the implicit one.
      const shift = Math.clz32(fraction) - 21;
      widened[half] = sign | ((127 - 14 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
    } else {
      widened[half] = sign;
    }
  }
  return widened;
}

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/** out[i] = the float16 with bits halves[i]. Exact. */
export function widenFloat16(halves: Uint16Array, out: Float32Array): void {
  const table = float16Table();
  const bits = bitsOf(out);
  for (let i = 0; i < halves.length; i++) bits[i] = table[halves[i]!]!;
}

/** out[i] = the bfloat16 with bits halves[i]. Exact: a bfloat16 is the upper half of a float32. */
export function widenBfloat16(halves: Uint16Array, out: Float32Array): void {
  const bits = bitsOf(out);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i]! << 16;
}

/**
 * out[i] = bits of the float16 nearest to values[i], ties to even. Values from 65520 upwards become
 * infinite; a NaN stays a NaN.
 */
export function narrowToFloat16(values: Float32Array, out: Uint16Array): void {
  const bits = bitsOf(values);
  for (let i = 0; i < bits.length; i++) out[i] = nearestFloat16(bits[i]!);
}

function nearestFloat16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x7f800000) {
    if (magnitude === 0x7f800000) return sign | 0x7c00;
    // A payload in the lower bits alone would turn the NaN into an infinity: set the quiet bit.
    const payload = (magnitude >> 13) & 0x3ff;
    return sign | 0x7c00 | (payload === 0 ? 0x200 : payload);
  }
  if (magnitude >= 0x38800000) {
    // Normal: drop 13 bits, rounding; a carry runs into the exponent, where it belongs.
    const rounded = (magnitude - (112 << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
    return sign | Math.min(rounded, 0x7c00);
  }
  // Subnormal: the fraction with its implicit one, in steps of 2^-24.
  const shift = 126 - (magnitude >> 23);
  if (shift > 24) return sign;
  const fraction = (magnitude & 0x7fffff) | 0x800000;
  const half = 1 << (shift - 1);
  return sign | ((fraction + half - 1 + ((fraction >> shift) & 1)) >> shift);
}
