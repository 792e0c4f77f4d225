import { describe, expect, it } from "vitest";
import { narrowToFloat16, widenBfloat16, widenFloat16 } from "../../../core/dtypes/float16.ts";

const EVERY_PATTERN = Uint16Array.from({ length: 65536 }, (_, i) => i);

/** IEEE 754, 3.4: the value of a binary16 pattern, by its formula. */
function valueOfFloat16(bits: number): number {
  const sign = bits >= 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -14 : sign * (1 + fraction) * 2 ** (exponent - 15);
}

function widened(halves: Uint16Array): Float32Array {
  const out = new Float32Array(halves.length);
  widenFloat16(halves, out);
  return out;
}

function narrowed(...values: readonly number[]): number[] {
  const out = new Uint16Array(values.length);
  narrowToFloat16(Float32Array.from(values), out);
  return [...out];
}

describe("float16", () => {
  it("widens all 65536 values exactly, signed zeros included", () => {
    const found = widened(EVERY_PATTERN);
    for (const bits of EVERY_PATTERN) {
      if (!Object.is(found[bits], valueOfFloat16(bits))) {
        expect.fail(`0x${bits.toString(16)}: ${found[bits]} instead of ${valueOfFloat16(bits)}`);
      }
    }
  });

  it("keeps sign and payload of a NaN", () => {
    const bits = new Uint32Array(widened(Uint16Array.of(0x7c01, 0xfe00, 0xffff)).buffer);
    expect([...bits]).toEqual([0x7f802000, 0xffc00000, 0xffffe000]);
  });

  it("comes back from float32 unchanged, all 65536 values", () => {
    const back = new Uint16Array(65536);
    narrowToFloat16(widened(EVERY_PATTERN), back);
    expect(back).toEqual(EVERY_PATTERN);
  });

  it("rounds to the nearest, ties to even, between all neighbours", () => {
    for (let bits = 0; bits < 0x7bff; bits++) {
      const [low, high] = [valueOfFloat16(bits), valueOfFloat16(bits + 1)];
      const middle = (low + high) / 2;
      const step = (high - low) / 1024;
      const even = bits % 2 === 0 ? bits : bits + 1;
      const found = narrowed(middle - step, middle, middle + step, -middle);
      if (String(found) !== String([bits, even, bits + 1, even + 0x8000])) {
        expect.fail(`between 0x${bits.toString(16)} and its neighbour: ${found}`);
      }
    }
  });

  it("becomes infinite from 65520 upwards, and zero up to half of the smallest value", () => {
    expect(narrowed(65519.996, 65520, 1e38, Number.POSITIVE_INFINITY, -65520)).toEqual([
      0x7bff, 0x7c00, 0x7c00, 0x7c00, 0xfc00,
    ]);
    expect(narrowed(2 ** -25, 2 ** -25 * (1 + 2 ** -20), 1e-45, -0)).toEqual([0, 1, 0, 0x8000]);
  });

  it("keeps a NaN a NaN even where its payload does not fit", () => {
    const values = new Float32Array(new Uint32Array([0x7f800001, 0xff800001]).buffer);
    const out = new Uint16Array(2);
    narrowToFloat16(values, out);
    expect([...out]).toEqual([0x7e00, 0xfe00]);
  });
});

describe("bfloat16", () => {
  it("widens all 65536 values to the float32 with the same upper half", () => {
    const out = new Float32Array(65536);
    widenBfloat16(EVERY_PATTERN, out);
    const bits = new DataView(out.buffer);
    for (const half of EVERY_PATTERN) {
      if (bits.getUint32(half * 4, true) !== half * 65536) expect.fail(`0x${half.toString(16)}`);
    }
    expect(out[0x3fc0]).toBe(1.5);
    expect(out[0xff80]).toBe(Number.NEGATIVE_INFINITY);
  });

  it("writes into a part of an array", () => {
    const out = new Float32Array(4);
    widenBfloat16(Uint16Array.of(0x3f80), out.subarray(2, 3));
    widenFloat16(Uint16Array.of(0x4000), out.subarray(1, 2));
    expect([...out]).toEqual([0, 2, 1, 0]);
  });
});
