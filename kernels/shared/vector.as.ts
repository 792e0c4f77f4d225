// Arithmetic on vectors of four f32.

/** a * b + c, fused where the engine compiles the module with relaxed SIMD. */
// @ts-expect-error: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** sums + the products of four neighbours of a, signed, and of b, from LEAST_BYTE to LEAST_BYTE + 255: four sums. */
// @ts-expect-error: decorator
@inline
export function dot_bytes(a: v128, b: v128, sums: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_dot_i8x16_i7x16_add_s(a, b, sums);
  const low = i32x4.extadd_pairwise_i16x8_s(i16x8.extmul_low_i8x16_s(a, b));
  const high = i32x4.extadd_pairwise_i16x8_s(i16x8.extmul_high_i8x16_s(a, b));
  const pairs = i32x4.add(i32x4.shuffle(low, high, 0, 2, 4, 6), i32x4.shuffle(low, high, 1, 3, 5, 7));
  return i32x4.add(sums, pairs);
}

/**
 * What the lowest byte of the second operand of `dot_bytes` stands for: -128 or 0. The relaxed instruction leaves it to
 * the machine whether these bytes have a sign: they have none for VNNI, and have one for Arm.
 */
export const LEAST_BYTE: i32 =
  i32x4.extract_lane(dot_bytes(i8x16.splat(1), i8x16.splat(-1), i32x4.splat(0)), 0) < 0 ? -128 : 0;

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

/**
 * What `exp` and `power_of_two` need: the ends of the range of `exp`; 1 / ln 2; 1.5 * 2^23, which leaves a whole number
 * in the lowest bits of the fraction; ln 2 in two parts, the first with few bits, so that n times it is exact; minimax
 * fits of e^r, |r| <= ln 2 / 2, and of 2^r, |r| <= 1/2, the highest power first; the end of the range of `power_of_two`.
 * They are loaded: V8 makes constants of an expression anew for each use, by three instructions.
 */
const EXP = memory.data<f32>([
  -87.3, 88, 1.44269504, 12582912, -0.693359375, 2.1219444e-4, 0.00829031505, 0.0418979302, 0.166676357, 0.499991506,
  0.999999762, 1, 0.00132647273, 0.00967151299, 0.0555073358, 0.240222424, 0.693147004, -126,
]);

/** e^x to 2e-7 of itself, for x clamped to [-87.3, 88]: 2^n * e^r with whole n. */
// @ts-ignore: decorator
@inline
export function exp(x: v128): v128 {
  // NaN stays: pmax and pmin keep their first operand where the comparison fails.
  const clamped = f32x4.pmin(f32x4.pmax(x, v128.load32_splat(EXP)), v128.load32_splat(EXP, 4));
  const rounder = v128.load32_splat(EXP, 12);
  const shifted = madd(clamped, v128.load32_splat(EXP, 8), rounder);
  const n = f32x4.sub(shifted, rounder);
  let r = madd(n, v128.load32_splat(EXP, 16), clamped);
  r = madd(n, v128.load32_splat(EXP, 20), r);
  let fit = v128.load32_splat(EXP, 24);
  fit = madd(fit, r, v128.load32_splat(EXP, 28));
  fit = madd(fit, r, v128.load32_splat(EXP, 32));
  fit = madd(fit, r, v128.load32_splat(EXP, 36));
  fit = madd(fit, r, v128.load32_splat(EXP, 40));
  const one = v128.load32_splat(EXP, 44);
  fit = madd(fit, r, one);
  // The bits of 1 are the exponent of 2^0.
  return f32x4.mul(fit, i32x4.add(i32x4.shl(shifted, 23), one));
}

/** 2^x to 2e-7 of itself, for x up to 126 and clamped to -126: with fewer steps than `exp`. */
// @ts-ignore: decorator
@inline
export function power_of_two(x: v128): v128 {
  const clamped = f32x4.pmax(x, v128.load32_splat(EXP, 68));
  const rounder = v128.load32_splat(EXP, 12);
  const shifted = f32x4.add(clamped, rounder);
  const r = f32x4.sub(clamped, f32x4.sub(shifted, rounder));
  let fit = v128.load32_splat(EXP, 48);
  fit = madd(fit, r, v128.load32_splat(EXP, 52));
  fit = madd(fit, r, v128.load32_splat(EXP, 56));
  fit = madd(fit, r, v128.load32_splat(EXP, 60));
  fit = madd(fit, r, v128.load32_splat(EXP, 64));
  fit = madd(fit, r, v128.load32_splat(EXP, 44));
  // n is added to the exponent, which the fit leaves at 0 or -1.
  return i32x4.add(fit, i32x4.shl(shifted, 23));
}

/** The bits of a half's sign, exponent and fraction, shifted to where they are in an f32. */
const HALF_BITS = memory.data<u32>([0x8fffe000]);

// @ts-expect-error: decorator
@inline
export function half_mask(): v128 {
  return v128.load32_splat(HALF_BITS);
}

/**
 * 2^-112 of four halves, which are sign-extended: sign, exponent and fraction in their places, where exponents have
 * another bias. Exact, but for infinities and NaN.
 *
 * @param mask half_mask(), from a register: V8 would make a constant anew for each use
 */
// @ts-expect-error: decorator
@inline
export function small_halves(halves: v128, mask: v128): v128 {
  return v128.and(i32x4.shl(halves, 13), mask);
}

/** Four f32 from the four f16 in the low halves of four lanes, sign-extended. Exact, but for infinities and NaN. */
// @ts-expect-error: decorator
@inline
function widened(halves: v128): v128 {
  const small = v128.and(i32x4.shl(halves, 13), i32x4.splat(0x8fffe000));
  return f32x4.mul(small, f32x4.splat(5192296858534827628530496329220096.0));
}

/** The first four of eight f16. */
// @ts-expect-error: decorator
@inline
export function widen_low(halves: v128): v128 {
  return widened(i32x4.extend_low_i16x8_s(halves));
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
