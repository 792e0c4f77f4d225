// A random number that depends on nothing but its address and the seed. See gumbel.ts.
//
// uses rank_tokens: params

// The upper 32 bits of the 64-bit product.
fn high_word(x: u32, y: u32) -> u32 {
  let middle = (x >> 16u) * (y & 0xffffu) + (((x & 0xffffu) * (y & 0xffffu)) >> 16u);
  let carry = (middle & 0xffffu) + (x & 0xffffu) * (y >> 16u);
  return (x >> 16u) * (y >> 16u) + (middle >> 16u) + (carry >> 16u);
}

// The lower two words of Philox4x32-10.
fn philox(counter: vec4u, seed: vec2u) -> vec2u {
  var state = counter;
  var key = seed;
  for (var round = 0u; round < 10u; round++) {
    state = vec4u(
      high_word(0xcd9e8d57u, state.z) ^ state.y ^ key.x,
      0xcd9e8d57u * state.z,
      high_word(0xd2511f53u, state.x) ^ state.w ^ key.y,
      0xd2511f53u * state.x,
    );
    key += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return state.xy;
}

// -log(1 - x) for x in [0, 1/2], exact to single precision also where x is small: 2 artanh(x / (2 - x)).
fn negative_log_of_rest(x: f32) -> f32 {
  let z = x / (2.0 - x);
  let s = z * z;
  let series = 1.0 + s * (1.0 / 3.0 + s * (1.0 / 5.0 + s * (1.0 / 7.0 + s * (1.0 / 9.0 + s * (1.0 / 11.0 + s / 13.0)))));
  return 2.0 * z * series;
}

// -log(-log(uniform)), of a uniform number of 32 bits.
fn gumbel_noise(token: u32, row: u32, step: u32) -> f32 {
  let words = philox(vec4u(token, row, step, 0u), vec2u(params.seed_low, params.seed_high));
  let bits = (words.y & 0xfffff000u) | (words.x >> 20u);
  let unit = 1.0 / 4294967296.0;
  var exponential = 0.0;
  if (bits < 0x80000000u) {
    exponential = -log((f32(bits) + 0.5) * unit);
  } else {
    exponential = negative_log_of_rest((f32(~bits) + 0.5) * unit);
  }
  return -log(exponential);
}
