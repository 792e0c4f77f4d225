/**
 * Matrices of weights, (outputs, inputs) with a multiple of four inputs, as tensors store them: f32, or f16 with
 * two neighbours of a row in a word, the first in its lower half. A kernel that binds one as `name` declares it
 * as array<stored_name> and reads weights 4i to 4i + 3 by four_of_name(i), in single precision.
 */
export const weights = {
  access: "read",
  dtype: "weights",
  formats: {
    f32: new URL("./weights.f32.wgsl", import.meta.url),
    f16: new URL("./weights.f16.wgsl", import.meta.url),
  },
} as const;
