// Weights in single precision (see weights.ts). NAME stands for the binding that holds
// them: for `weight`, kernels declare array<stored_weight> and call four_of_weight.
//
// uses kernel: NAME
alias stored_NAME = vec4f;

fn four_of_NAME(i: u32) -> vec4f {
  return NAME[i];
}

fn one_of_NAME(i: u32) -> f32 {
  return NAME[i / 4u][i % 4u];
}
