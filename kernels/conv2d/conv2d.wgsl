// out[h, w, o] = bias[o] + sum over c, i, j of weight[o, c, i, j]
//   * x[h * STRIDE + i - PADDING, w * STRIDE + j - PADDING, c], where x is 0 outside of the map
//
// A matrix product of patches and filters. One workgroup of 16 x 16 per 64 pixels and 64 outputs;
// invocation (u, v) computes pixels 4v..4v+3 of outputs 4u..4u+3. The sum runs over slabs of 16 products:
// 16 channels of one tap (i, j), or, where x is in planes, 16 neighbours in the order of the weights.
// Lane 16q + k brings element k of four pixels and of four filters into workgroup memory.

struct Params {
  height: u32,
  width: u32,
  out_height: u32,
  out_width: u32,
}

override C: u32 = 1;
override O: u32 = 1;
override KERNEL: u32 = 1;
override STRIDE: u32 = 1;
override PADDING: u32 = 0;
override PLANES: u32 = 0;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const TILE = 64u;
const SLAB = 16u;
override TAPS: u32 = KERNEL * KERNEL;
override SLABS: u32 = select((C + SLAB - 1u) / SLAB * TAPS, (C * TAPS + SLAB - 1u) / SLAB, PLANES == 1u);

// Rows of 16 vectors, four pixels or four filters each; the 17th keeps lanes off each other's banks.
const PITCH = 17u;
var<workgroup> patches: array<vec4f, SLAB * PITCH>;
var<workgroup> filters: array<vec4f, SLAB * PITCH>;

// Channel and tap of element k of a slab.
fn channel_and_tap(slab: u32, k: u32) -> vec2u {
  if (PLANES == 1u) {
    let i = slab * SLAB + k;
    return vec2u(i / TAPS, i % TAPS);
  }
  return vec2u(slab / TAPS * SLAB + k, slab % TAPS);
}

// One element of the map, zero outside of it; also where a negative place has wrapped around.
fn element(place: vec2u, channel: u32) -> f32 {
  if (place.x >= params.width || place.y >= params.height || channel >= C) {
    return 0.0;
  }
  if (PLANES == 1u) {
    return x[(channel * params.height + place.y) * params.width + place.x];
  }
  return x[(place.y * params.width + place.x) * C + channel];
}

fn filter_element(output: u32, channel: u32, tap: u32) -> f32 {
  if (output >= O || channel >= C) {
    return 0.0;
  }
  return weight[(output * C + channel) * TAPS + tap];
}

// Where the patch of a pixel begins. A pixel behind the last one begins below the map.
fn corner(pixel: u32) -> vec2u {
  return vec2u(pixel % params.out_width, pixel / params.out_width) * STRIDE - PADDING;
}

fn store(pixel: u32, output: u32, sums: vec4f) {
  for (var i = 0u; i < 4u; i++) {
    if (pixel < params.out_height * params.out_width && output + i < O) {
      out[pixel * O + output + i] = sums[i] + bias[output + i];
    }
  }
}

@compute @workgroup_size(16, 16)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let output_tiles = (O + TILE - 1u) / TILE;
  let number = linear_workgroup(group, groups);
  let first_pixel = number / output_tiles * TILE;
  let first_output = number % output_tiles * TILE;
  if (first_pixel >= params.out_height * params.out_width) {
    return;
  }

  let k = local.x;
  let pixel = first_pixel + local.y * 4u;
  let output = first_output + local.y * 4u;
  let corner0 = corner(pixel);
  let corner1 = corner(pixel + 1u);
  let corner2 = corner(pixel + 2u);
  let corner3 = corner(pixel + 3u);

  var sum0 = vec4f(0.0);
  var sum1 = vec4f(0.0);
  var sum2 = vec4f(0.0);
  var sum3 = vec4f(0.0);
  for (var slab = 0u; slab < SLABS; slab++) {
    let source = channel_and_tap(slab, k);
    let channel = source.x;
    let tap = source.y;
    let shift = vec2u(tap % KERNEL, tap / KERNEL);
    patches[k * PITCH + local.y] = vec4f(
      element(corner0 + shift, channel),
      element(corner1 + shift, channel),
      element(corner2 + shift, channel),
      element(corner3 + shift, channel),
    );
    filters[k * PITCH + local.y] = vec4f(
      filter_element(output, channel, tap),
      filter_element(output + 1u, channel, tap),
      filter_element(output + 2u, channel, tap),
      filter_element(output + 3u, channel, tap),
    );
    workgroupBarrier();
    for (var i = 0u; i < SLAB; i++) {
      let four_pixels = patches[i * PITCH + local.y];
      let four_filters = filters[i * PITCH + local.x];
      sum0 += four_pixels.x * four_filters;
      sum1 += four_pixels.y * four_filters;
      sum2 += four_pixels.z * four_filters;
      sum3 += four_pixels.w * four_filters;
    }
    workgroupBarrier();
  }

  let first = first_output + local.x * 4u;
  store(pixel, first, sum0);
  store(pixel + 1u, first, sum1);
  store(pixel + 2u, first, sum2);
  store(pixel + 3u, first, sum3);
}
