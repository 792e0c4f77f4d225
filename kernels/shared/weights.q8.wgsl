// Weights in 8 bits, in blocks of 32: a word with least and span in half precision, then eight words of four weights
// each (see core/quantization.ts).
alias stored_NAME = u32;

fn four_of_NAME(i: u32) -> vec4f {
  let block = i / 8u * 9u;
  let least_and_span = unpack2x16float(NAME[block]);
  let word = NAME[block + 1u + i % 8u];
  let q = (vec4u(word) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u);
  return least_and_span.x + least_and_span.y * (vec4f(q) / 256.0);
}

fn one_of_NAME(i: u32) -> f32 {
  return four_of_NAME(i / 4u)[i % 4u];
}
