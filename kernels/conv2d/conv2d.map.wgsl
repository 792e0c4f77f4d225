// What the variants of conv2d share: the map, as filters see it.
//
// uses conv2d.tile: HAS_NORM, KERNEL, PADDING, STRIDE, normed, params
// uses row_statistics: normalized

const OUTSIDE = 0xffffffffu;
override TAPS: u32 = KERNEL * KERNEL;

// Where the patch of an output begins; negative places wrap around.
fn corner(pixel: u32) -> vec2u {
  return vec2u(pixel % params.out_width, pixel / params.out_width) * STRIDE - PADDING;
}

// The pixel that a tap reads of the patch which begins there.
fn source(corner: vec2u, tap: u32) -> u32 {
  let place = corner + vec2u(tap % KERNEL, tap / KERNEL);
  return select(OUTSIDE, place.y * params.width + place.x, place.x < params.width && place.y < params.height);
}

// Four channels of a pixel, normalised.
fn four_of_map(pixel: u32, of_pixel: vec2f, vector: u32) -> vec4f {
  if (pixel == OUTSIDE) {
    return vec4f(0.0);
  }
  let four = normed[pixel * (params.channels / 4u) + vector];
  if (HAS_NORM == 1u) {
    return normalized(four, of_pixel, vector);
  }
  return four;
}
