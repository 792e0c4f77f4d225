// Activation functions, by the numbers of activation.ts.
//
// uses kernel: ACTIVATION

const GELU = 1u;
const GELU_TANH = 2u;
const QUICK_GELU = 3u;
const SILU = 4u;
const RELU = 5u;

// The error function to 1.2e-7 of 1 - erf: a Chebyshev fit of log(erfc(x) / t) + x^2 in t = 1 / (1 + |x| / 2)
// (Press et al., Numerical Recipes, section 6.2).
fn erf(x: f32) -> f32 {
  let t = 1.0 / (1.0 + 0.5 * abs(x));
  var fit = 0.17087277;
  fit = -0.82215223 + t * fit;
  fit = 1.48851587 + t * fit;
  fit = -1.13520398 + t * fit;
  fit = 0.27886807 + t * fit;
  fit = -0.18628806 + t * fit;
  fit = 0.09678418 + t * fit;
  fit = 0.37409196 + t * fit;
  fit = 1.00002368 + t * fit;
  fit = -1.26551223 + t * fit;
  let rest = t * exp(fit - x * x);
  return select(rest - 1.0, 1.0 - rest, x >= 0.0);
}

// x times the probability that a standard normal number is below x.
fn gelu(x: f32) -> f32 {
  return 0.5 * x * (1.0 + erf(x * 0.7071067811865476));
}

// 1 / (1 + e^-x), with an exponential that never overflows.
fn sigmoid(x: f32) -> f32 {
  let power = exp(-abs(x));
  return select(power, 1.0, x >= 0.0) / (1.0 + power);
}

fn activate(x: f32) -> f32 {
  switch ACTIVATION {
    case GELU: {
      return gelu(x);
    }
    case GELU_TANH: {
      // (1 + tanh(u)) / 2 is the sigmoid of 2 u, here with 2 sqrt(2 / pi).
      return x * sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x));
    }
    case QUICK_GELU: {
      return x * sigmoid(1.702 * x);
    }
    case SILU: {
      return x * sigmoid(x);
    }
    case RELU: {
      // Not max, which may lose a NaN.
      return select(x, 0.0, x < 0.0);
    }
    default: {
      return x;
    }
  }
}
