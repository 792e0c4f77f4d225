// A unit is a row of the map. The filters are turned into scratch memory first, tap by tap with channels side by side,
// so that four channels are computed at once.
import { scratch } from "../shared/memory.as";
import { madd, store_some } from "../shared/vector.as";

const TAPS: u32 = 9;

export function depthwise_conv_scratch(height: u32, width: u32, C: u32): u32 {
  return TAPS * C * 4;
}

export function depthwise_conv_first_units(height: u32, width: u32, C: u32): u32 {
  return 1;
}

export function depthwise_conv_first(
  x: usize,
  weight: usize,
  bias: usize,
  out: usize,
  height: u32,
  width: u32,
  C: u32,
  begin: u32,
  end: u32,
): void {
  for (let c: u32 = 0; c < C; c++) {
    for (let tap: u32 = 0; tap < TAPS; tap++)
      store<f32>(scratch + <usize>(tap * C + c) * 4, load<f32>(weight + <usize>(c * TAPS + tap) * 4));
  }
}

export function depthwise_conv_units(height: u32, width: u32, C: u32): u32 {
  return height;
}

export function depthwise_conv(
  x: usize,
  weight: usize,
  bias: usize,
  out: usize,
  height: u32,
  width: u32,
  C: u32,
  begin: u32,
  end: u32,
): void {
  const row = <usize>width * <usize>C * 4;
  const pixel = <usize>C * 4;
  for (let h = begin; h < end; h++) {
    const hasAbove = h > 0;
    const hasBelow = h + 1 < height;
    for (let w: u32 = 0; w < width; w++) {
      const here = <usize>h * row + <usize>w * pixel;
      const hasLeft = w > 0;
      const hasRight = w + 1 < width;
      for (let c: usize = 0; c < pixel; c += 16) {
        const at = x + here + c;
        const taps = scratch + c;
        let sum = f32x4.add(v128.load(at), v128.load(bias + c));
        if (hasAbove) sum = three_taps(at - row, taps, pixel, hasLeft, hasRight, sum);
        sum = three_taps(at, taps + 3 * pixel, pixel, hasLeft, hasRight, sum);
        if (hasBelow) sum = three_taps(at + row, taps + 6 * pixel, pixel, hasLeft, hasRight, sum);
        store_some(out + here + c, sum, pixel - c);
      }
    }
  }
}

/** Adds up the products of a row of the filter, for four channels. */
// @ts-ignore: decorator
@inline
function three_taps(at: usize, taps: usize, pixel: usize, hasLeft: bool, hasRight: bool, sum: v128): v128 {
  if (hasLeft) sum = madd(v128.load(at - pixel), v128.load(taps), sum);
  sum = madd(v128.load(at), v128.load(taps + pixel), sum);
  if (hasRight) sum = madd(v128.load(at + pixel), v128.load(taps + 2 * pixel), sum);
  return sum;
}
