/** Numbers of activation functions, as in activation.wgsl and activation.as.ts. */
export const ACTIVATION = { none: 0, gelu: 1, geluTanh: 2, quickGelu: 3, silu: 4, relu: 5 } as const;

/**
 * Of one number x, with the standard normal distribution function P: none x; gelu x·P(x); geluTanh its approximation
 * x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2; quickGelu x·sigmoid(1.702·x); silu x·sigmoid(x); relu max(x, 0). Sources:
 * Hendrycks and Gimpel, "Gaussian error linear units", 2016; Elfwing et al., "Sigmoid-weighted linear units", 2017.
 */
export type Activation = keyof typeof ACTIVATION;

const FUNCTIONS: Readonly<Record<Activation, (x: number) => number>> = {
  none: (x) => x,
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  geluTanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  quickGelu: (x) => x * sigmoid(1.702 * x),
  silu: (x) => x * sigmoid(x),
  relu: (x) => Math.max(x, 0),
};

/** The function of a number of `ACTIVATION`, in double precision: `activationOf(ACTIVATION.relu)(-2)` is 0. */
export function activationOf(number: number): (x: number) => number {
  const names = Object.keys(ACTIVATION) as Activation[];
  return FUNCTIONS[names.find((name) => ACTIVATION[name] === number)!];
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** The error function to about 1e-15: its Taylor series (Abramowitz and Stegun 7.1.6), 1 where it is 1 in f32. */
function erf(x: number): number {
  if (Math.abs(x) > 4.5) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
