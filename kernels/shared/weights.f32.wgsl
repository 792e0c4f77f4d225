// Weights in single precision (see weights.ts).
alias stored_weight = vec4f;

fn four_of_weight(i: u32) -> vec4f {
  return weight[i];
}

fn one_of_weight(i: u32) -> f32 {
  return weight[i / 4u][i % 4u];
}
