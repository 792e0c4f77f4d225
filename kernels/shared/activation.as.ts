// Activation functions of four f32, by the numbers of activation.ts.
import { exp, madd } from "./vector.as";

const GELU: u32 = 1;
const GELU_TANH: u32 = 2;
const QUICK_GELU: u32 = 3;
const SILU: u32 = 4;
const RELU: u32 = 5;

/** The error function: the fit of activation.wgsl. */
// @ts-expect-error: decorator
@inline
function erf(x: v128): v128 {
  const positive = f32x4.abs(x);
  const one = f32x4.splat(1);
  const t = f32x4.div(one, madd(f32x4.splat(0.5), positive, one));
  let fit = f32x4.splat(0.17087277);
  fit = madd(t, fit, f32x4.splat(-0.82215223));
  fit = madd(t, fit, f32x4.splat(1.48851587));
  fit = madd(t, fit, f32x4.splat(-1.13520398));
  fit = madd(t, fit, f32x4.splat(0.27886807));
  fit = madd(t, fit, f32x4.splat(-0.18628806));
  fit = madd(t, fit, f32x4.splat(0.09678418));
  fit = madd(t, fit, f32x4.splat(0.37409196));
  fit = madd(t, fit, f32x4.splat(1.00002368));
  fit = madd(t, fit, f32x4.splat(-1.26551223));
  const rest = f32x4.mul(t, exp(f32x4.sub(fit, f32x4.mul(x, x))));
  const sign = v128.and(x, i32x4.splat(0x80000000));
  return v128.or(f32x4.sub(one, rest), sign);
}

/** x times the probability that a standard normal number is below x. */
// @ts-expect-error: decorator
@inline
function gelu(x: v128): v128 {
  const half = f32x4.mul(x, f32x4.splat(0.5));
  return madd(half, erf(f32x4.mul(x, f32x4.splat(0.70710678))), half);
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

export function activate(x: v128, activation: u32): v128 {
  if (activation == GELU) return gelu(x);
  if (activation == GELU_TANH) {
    // (1 + tanh(u)) / 2 is the sigmoid of 2 u, here with 2 sqrt(2 / pi).
    const cubic = f32x4.mul(f32x4.splat(0.044715), f32x4.mul(x, f32x4.mul(x, x)));
    return f32x4.mul(x, sigmoid(f32x4.mul(f32x4.splat(1.5957691216), f32x4.add(x, cubic))));
  }
  if (activation == QUICK_GELU) return f32x4.mul(x, sigmoid(f32x4.mul(x, f32x4.splat(1.702))));
  if (activation == SILU) return f32x4.mul(x, sigmoid(x));
  if (activation == RELU) return f32x4.max(x, f32x4.splat(0));
  return x;
}
