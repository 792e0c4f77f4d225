// Weights in 4 bits, in blocks of 32: a word with minimum and span in half precision, then four words of eight
// weights each (see core/dtypes/quantization.ts). NAME stands for the binding that holds
// them: for `weight`, kernels declare array<stored_weight> and call four_of_weight.
//
// uses kernel: NAME
alias stored_NAME = u32;

fn four_of_NAME(i: u32) -> vec4f {
  let block = i / 8u * 5u;
  let min_and_span = unpack2x16float(NAME[block]);
  let word = NAME[block + 1u + i % 8u / 2u] >> (i % 2u * 16u);
  let q = (vec4u(word) >> vec4u(0u, 4u, 8u, 12u)) & vec4u(15u);
  return min_and_span.x + min_and_span.y * (vec4f(q) / 16.0);
}

fn one_of_NAME(i: u32) -> f32 {
  return four_of_NAME(i / 4u)[i % 4u];
}
