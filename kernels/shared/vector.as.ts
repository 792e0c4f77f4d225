// Arithmetic on vectors of four f32.

/** a * b + c, fused where the engine compiles the module with relaxed SIMD. */
// @ts-expect-error: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** sums + the products of four neighbours of a, signed, and of b, from 0 to 127: four sums. */
// @ts-expect-error: decorator
@inline
export function dot_bytes(a: v128, b: v128, sums: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_dot_i8x16_i7x16_add_s(a, b, sums);
  const low = i32x4.extadd_pairwise_i16x8_s(i16x8.extmul_low_i8x16_s(a, b));
  const high = i32x4.extadd_pairwise_i16x8_s(i16x8.extmul_high_i8x16_s(a, b));
  const pairs = i32x4.add(i32x4.shuffle(low, high, 0, 2, 4, 6), i32x4.shuffle(low, high, 1, 3, 5, 7));
  return i32x4.add(sums, pairs);
}

/** The sum of the four. */
// @ts-expect-error: decorator
@inline
export function sum_of(x: v128): f32 {
  return (
    f32x4.extract_lane(x, 0) +
    f32x4.extract_lane(x, 1) +
    (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3))
  );
}

/** The largest of the four. */
// @ts-expect-error: decorator
@inline
export function max_of(x: v128): f32 {
  return max(
    max(f32x4.extract_lane(x, 0), f32x4.extract_lane(x, 1)),
    max(f32x4.extract_lane(x, 2), f32x4.extract_lane(x, 3)),
  );
}

/** 1.5 * 2^23: adding it leaves a whole number in the lowest bits of the fraction. */
const ROUNDER: f32 = 12582912;

/**
 * e^x to 2e-7 of itself, for x clamped to [-87.3, 88]: 2^n * e^r with whole n and |r| <= ln 2 / 2, e^r by its Taylor
 * series.
 */
// @ts-ignore: decorator
@inline
export function exp(x: v128): v128 {
  // NaN stays: pmax and pmin keep their first operand where the comparison fails.
  const clamped = f32x4.pmin(f32x4.pmax(x, f32x4.splat(-87.3)), f32x4.splat(88));
  const shifted = madd(clamped, f32x4.splat(1.44269504), f32x4.splat(ROUNDER));
  const n = f32x4.sub(shifted, f32x4.splat(ROUNDER));
  // ln 2 in two parts, the first with few bits, so that n times it is exact.
  let r = madd(n, f32x4.splat(-0.693359375), clamped);
  r = madd(n, f32x4.splat(2.12194440e-4), r);
  let fit = f32x4.splat(1 / 5040);
  fit = madd(fit, r, f32x4.splat(1 / 720));
  fit = madd(fit, r, f32x4.splat(1 / 120));
  fit = madd(fit, r, f32x4.splat(1 / 24));
  fit = madd(fit, r, f32x4.splat(1 / 6));
  fit = madd(fit, r, f32x4.splat(0.5));
  fit = madd(fit, r, f32x4.splat(1));
  fit = madd(fit, r, f32x4.splat(1));
  const power = i32x4.add(i32x4.shl(shifted, 23), i32x4.splat(127 << 23));
  return f32x4.mul(fit, power);
}

/** Four f32 from the four f16 in the low halves of four lanes, sign-extended. Exact, but for infinities and NaN. */
// @ts-expect-error: decorator
@inline
function widened(halves: v128): v128 {
  // Sign, exponent and fraction in their places; what is missing is the difference of the exponents' biases, 2^112.
  const bits = v128.and(i32x4.shl(halves, 13), i32x4.splat(0x8fffe000));
  return f32x4.mul(bits, f32x4.splat(5192296858534827628530496329220096.0));
}

/** The first four of eight f16. */
// @ts-expect-error: decorator
@inline
export function widen_low(halves: v128): v128 {
  return widened(i32x4.extend_low_i16x8_s(halves));
}

/** The last four of eight f16. */
// @ts-expect-error: decorator
@inline
export function widen_high(halves: v128): v128 {
  return widened(i32x4.extend_high_i16x8_s(halves));
}

/** The first values of a vector: as many as `bytes` hold, at most four. */
// @ts-ignore: decorator
@inline
export function store_some(to: usize, values: v128, bytes: usize): void {
  if (bytes >= 16) {
    v128.store(to, values);
    return;
  }
  store<f32>(to, f32x4.extract_lane(values, 0));
  if (bytes > 4) store<f32>(to, f32x4.extract_lane(values, 1), 4);
  if (bytes > 8) store<f32>(to, f32x4.extract_lane(values, 2), 8);
}
