// The map as windows see it.
//
// uses window_attention: D, WINDOW, params, qkv, qkv_bias

override TOKENS: u32 = WINDOW * WINDOW;
override QUADS: u32 = D / 4u;

fn windows_per_row() -> u32 {
  return (params.width + WINDOW - 1u) / WINDOW;
}

fn corner_of(window: u32) -> vec2u {
  return vec2u(window % windows_per_row(), window / windows_per_row()) * WINDOW;
}

fn position_in_window(token: u32) -> vec2u {
  return vec2u(token % WINDOW, token / WINDOW);
}

fn is_on_map(position: vec2u) -> bool {
  return position.x < params.width && position.y < params.height;
}

// Channels 4 * quad, ... of head `head` of q (part 0), k (1) or v (2) at a position.
fn four_of_map(position: vec2u, part: u32, head: u32, quad: u32) -> vec4f {
  let place = (part * params.heads + head) * QUADS + quad;
  if (is_on_map(position)) {
    return qkv[(position.y * params.width + position.x) * 3u * params.heads * QUADS + place];
  }
  return qkv_bias[place];
}

// Where a position's channels of a head go, four to a vector.
fn row_of_out(position: vec2u, head: u32) -> u32 {
  return ((position.y * params.width + position.x) * params.heads + head) * QUADS;
}
