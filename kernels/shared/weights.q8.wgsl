// Weights in 8 bits, in blocks of 32: a word with minimum and span in half precision, then eight words of four
// weights each (see core/dtypes/quantization.ts). NAME stands for the binding that holds
// them: for `weight`, kernels declare array<stored_weight> and call four_of_weight.
//
// uses kernel: NAME
alias stored_NAME = u32;

fn four_of_NAME(i: u32) -> vec4f {
  let block = i / 8u * 9u;
  let min_and_span = unpack2x16float(NAME[block]);
  let word = NAME[block + 1u + i % 8u];
  let q = (vec4u(word) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u);
  return min_and_span.x + min_and_span.y * (vec4f(q) / 256.0);
}

fn one_of_NAME(i: u32) -> f32 {
  return four_of_NAME(i / 4u)[i % 4u];
}
