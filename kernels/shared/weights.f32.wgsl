// Weights in single precision (see weights.ts).
alias stored_NAME = vec4f;

fn four_of_NAME(i: u32) -> vec4f {
  return NAME[i];
}

fn one_of_NAME(i: u32) -> f32 {
  return NAME[i / 4u][i % 4u];
}
