// Weights in half precision, two to a word (see weights.ts). NAME stands for the binding that holds
// them: for `weight`, kernels declare array<stored_weight> and call four_of_weight.
//
// uses kernel: NAME
alias stored_NAME = vec2u;

fn four_of_NAME(i: u32) -> vec4f {
  let words = NAME[i];
  return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
}

fn one_of_NAME(i: u32) -> f32 {
  return unpack2x16float(NAME[i / 4u][i / 2u % 2u])[i % 2u];
}
