// Activation functions of four f32, by the numbers of activation.ts.
import { exp, madd } from "./vector.as";

const GELU: u32 = 1;
const GELU_TANH: u32 = 2;
const QUICK_GELU: u32 = 3;
const SILU: u32 = 4;
const RELU: u32 = 5;

/**
 * The limits of x and of the fit, and the coefficients of P and Q in turn, the highest power first. They are loaded: V8
 * makes constants of an expression anew for each use, by three instructions.
 */
const GELU_FIT = memory.data<f32>([
  -5.5, 5.5, -0.5, 0.5, 2.27646346e-8, 1.19800052e-6, 6.35326796e-6, 7.36436996e-5, 0.000168795261,
  0.00188429293, 0.00467714388, 0.0286438763, 0.0338485762, 0.251511723, 0.398942232, 1,
]);

/**
 * x times the probability that a standard normal number is below x, to 2e-7 of x: 1 / 2 + x P(x²) / Q(x²), the minimax
 * fit of that form up to |x| = 5.5, where the probability is 0 or 1 in f32.
 */
// @ts-expect-error: decorator
@inline
function gelu(x: v128): v128 {
  // NaN stays: pmax and pmin keep their first operand where the comparison fails.
  const near = f32x4.pmin(f32x4.pmax(x, v128.load32_splat(GELU_FIT)), v128.load32_splat(GELU_FIT, 4));
  const square = f32x4.mul(near, near);
  let p = v128.load32_splat(GELU_FIT, 16);
  let q = v128.load32_splat(GELU_FIT, 20);
  p = madd(p, square, v128.load32_splat(GELU_FIT, 24));
  q = madd(q, square, v128.load32_splat(GELU_FIT, 28));
  p = madd(p, square, v128.load32_splat(GELU_FIT, 32));
  q = madd(q, square, v128.load32_splat(GELU_FIT, 36));
  p = madd(p, square, v128.load32_splat(GELU_FIT, 40));
  q = madd(q, square, v128.load32_splat(GELU_FIT, 44));
  p = madd(p, square, v128.load32_splat(GELU_FIT, 48));
  q = madd(q, square, v128.load32_splat(GELU_FIT, 52));
  p = madd(p, square, v128.load32_splat(GELU_FIT, 56));
  q = madd(q, square, v128.load32_splat(GELU_FIT, 60));
  const half = v128.load32_splat(GELU_FIT, 12);
  const fit = f32x4.div(f32x4.mul(near, p), q);
  const within = f32x4.pmin(f32x4.pmax(fit, v128.load32_splat(GELU_FIT, 8)), half);
  return f32x4.mul(x, f32x4.add(within, half));
}

/** 1 / (1 + e^-x), with an exponential that never overflows. */
// @ts-expect-error: decorator
@inline
function sigmoid(x: v128): v128 {
  const zero = f32x4.splat(0);
  const one = f32x4.splat(1);
  const power = exp(f32x4.sub(zero, f32x4.abs(x)));
  const numerator = v128.bitselect(one, power, f32x4.ge(x, zero));
  return f32x4.div(numerator, f32x4.add(one, power));
}

/** GELU by its approximation with tanh: (1 + tanh(u)) / 2 is the sigmoid of 2 u, here with 2 sqrt(2 / pi). */
// @ts-expect-error: decorator
@inline
function gelu_tanh(x: v128): v128 {
  const cubic = f32x4.mul(f32x4.splat(0.044715), f32x4.mul(x, f32x4.mul(x, x)));
  return f32x4.mul(x, sigmoid(f32x4.mul(f32x4.splat(1.5957691216), f32x4.add(x, cubic))));
}

/** Applies an activation function to the values from `at` to `end`, a multiple of four of them. */
export function activate(at: usize, end: usize, activation: u32): void {
  if (activation == GELU) {
    // A loop of its own, so that it asks for no function.
    for (; at < end; at += 16) v128.store(at, gelu(v128.load(at)));
    return;
  }
  for (; at < end; at += 16) v128.store(at, other(v128.load(at), activation));
}

// @ts-expect-error: decorator
@inline
function other(x: v128, activation: u32): v128 {
  if (activation == GELU_TANH) return gelu_tanh(x);
  if (activation == QUICK_GELU) return f32x4.mul(x, sigmoid(f32x4.mul(x, f32x4.splat(1.702))));
  if (activation == SILU) return f32x4.mul(x, sigmoid(x));
  if (activation == RELU) return f32x4.max(x, f32x4.splat(0));
  return x;
}
