// Weights in half precision, two to a word (see weights.ts).
alias stored_NAME = vec2u;

fn four_of_NAME(i: u32) -> vec4f {
  let words = NAME[i];
  return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
}

fn one_of_NAME(i: u32) -> f32 {
  return unpack2x16float(NAME[i / 4u][i / 2u % 2u])[i % 2u];
}
