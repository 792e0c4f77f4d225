import { wgsl } from "../../core/shaders.ts";
/**
 * Weights of matrices and filters, a multiple of four, as tensors store them: f32, f16 with two neighbours in a
 * word, the first in its lower half, or in blocks of 32 with 8 or 4 bits (see core/quantization.ts). A kernel that
 * binds them as `name` declares array<stored_name> and reads them in single precision: weights 4i to 4i + 3 by
 * four_of_name(i), weight i by one_of_name(i).
 */
export const weights = {
  access: "read",
  dtype: "weights",
  formats: {
    f32: wgsl("kernels/shared/weights.f32.wgsl"),
    f16: wgsl("kernels/shared/weights.f16.wgsl"),
    q8: wgsl("kernels/shared/weights.q8.wgsl"),
    q4: wgsl("kernels/shared/weights.q4.wgsl"),
  },
} as const;
