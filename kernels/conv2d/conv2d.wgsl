// out[h, w, o] = bias[o] + sum over c, i, j of weight[o, i, j, c]
//   * x[h * STRIDE + i - PADDING, w * STRIDE + j - PADDING, c], where x is 0 outside of the map and may be the
// layer norm of what is bound
//
// A matrix product of patches and filters. One workgroup of 8 x 8 per 64 pixels and 64 outputs;
// invocation (u, v) computes pixels 4v..4v+3 and 32+4v..32+4v+3 of outputs 4u..4u+3 and 32+4u..32+4u+3.
// The sum runs over slabs of 16 products: 16 channels of one tap (i, j), tap after tap, or, where x is in planes,
// 16 neighbours in the order of the weights. Lane 16q + k brings element k of every fourth group of four pixels,
// and of four filters, into workgroup memory. For the norm, lane l looks at the pixel that a tap reads of patch l.

struct Params {
  height: u32,
  width: u32,
  out_height: u32,
  out_width: u32,
  channels: u32,
  outputs: u32,
}

override KERNEL: u32 = 1;
override STRIDE: u32 = 1;
override PADDING: u32 = 0;
override PLANES: u32 = 0;
override HAS_NORM: u32 = 0;

@group(0) @binding(0) var<storage, read> normed: array<f32>;
@group(0) @binding(1) var<storage, read> norm_weight: array<f32>;
@group(0) @binding(2) var<storage, read> norm_bias: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<stored_weight>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const TILE = 64u;
const SLAB = 16u;
override TAPS: u32 = KERNEL * KERNEL;

// Where the patches of the pixels begin.
var<workgroup> corners: array<vec2u, TILE>;
// Of the pixels that a tap reads of the patches: mean and 1 / standard deviation.
const EPSILON = 1e-5;
var<workgroup> statistics: array<vec2f, TILE>;
// Rows of 16 vectors, four pixels or four filters each; the 17th keeps lanes off each other's banks.
const PITCH = 17u;
var<workgroup> patches: array<vec4f, SLAB * PITCH>;
var<workgroup> filters: array<vec4f, SLAB * PITCH>;

fn slabs_per_tap() -> u32 {
  return (params.channels + SLAB - 1u) / SLAB;
}

fn slab_count() -> u32 {
  if (PLANES == 1u) {
    return (params.channels * TAPS + SLAB - 1u) / SLAB;
  }
  return slabs_per_tap() * TAPS;
}

// Channel and tap of element k of a slab.
fn channel_and_tap(slab: u32, k: u32) -> vec2u {
  if (PLANES == 1u) {
    let i = slab * SLAB + k;
    return vec2u(i % params.channels, i / params.channels);
  }
  return vec2u(slab % slabs_per_tap() * SLAB + k, slab / slabs_per_tap());
}

fn find_statistics(place: vec2u, number: u32) {
  if (place.x >= params.width || place.y >= params.height) {
    return;
  }
  let start = (place.y * params.width + place.x) * params.channels;
  var mean = 0.0;
  for (var c = 0u; c < params.channels; c++) {
    mean += normed[start + c];
  }
  mean /= f32(params.channels);
  var variance = 0.0;
  for (var c = 0u; c < params.channels; c++) {
    let difference = normed[start + c] - mean;
    variance += difference * difference;
  }
  statistics[number] = vec2f(mean, inverseSqrt(variance / f32(params.channels) + EPSILON));
}

// One element of the map, zero outside of it; also where a negative place has wrapped around.
fn element(place: vec2u, channel: u32, number: u32) -> f32 {
  if (place.x >= params.width || place.y >= params.height || channel >= params.channels) {
    return 0.0;
  }
  if (PLANES == 1u) {
    return normed[(channel * params.height + place.y) * params.width + place.x];
  }
  let value = normed[(place.y * params.width + place.x) * params.channels + channel];
  if (HAS_NORM == 1u) {
    return (value - statistics[number].x) * statistics[number].y * norm_weight[channel] + norm_bias[channel];
  }
  return value;
}

fn filter_element(output: u32, channel: u32, tap: u32) -> f32 {
  if (output >= params.outputs || channel >= params.channels || tap >= TAPS) {
    return 0.0;
  }
  return one_of_weight((output * TAPS + tap) * params.channels + channel);
}

fn store(pixel: u32, output: u32, sums: vec4f) {
  for (var i = 0u; i < 4u; i++) {
    if (pixel < params.out_height * params.out_width && output + i < params.outputs) {
      out[pixel * params.outputs + output + i] = sums[i] + bias[output + i];
    }
  }
}

@compute @workgroup_size(8, 8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let output_tiles = (params.outputs + TILE - 1u) / TILE;
  let number = linear_workgroup(group, groups);
  let first_pixel = number / output_tiles * TILE;
  let first_output = number % output_tiles * TILE;
  if (first_pixel >= params.out_height * params.out_width) {
    return;
  }

  let my_pixel = first_pixel + lane;
  corners[lane] = vec2u(my_pixel % params.out_width, my_pixel / params.out_width) * STRIDE - PADDING;
  workgroupBarrier();

  let k = lane % SLAB;
  var sums: array<vec4f, 16>;
  let slabs = slab_count();
  for (var slab = 0u; slab < slabs; slab++) {
    let source = channel_and_tap(slab, k);
    let channel = source.x;
    let tap = source.y;
    let shift = vec2u(tap % KERNEL, tap / KERNEL);
    if (HAS_NORM == 1u && slab % slabs_per_tap() == 0u) {
      find_statistics(corners[lane] + shift, lane);
      workgroupBarrier();
    }
    for (var j = 0u; j < 4u; j++) {
      let four = j * 4u + lane / SLAB;
      patches[k * PITCH + four] = vec4f(
        element(corners[four * 4u] + shift, channel, four * 4u),
        element(corners[four * 4u + 1u] + shift, channel, four * 4u + 1u),
        element(corners[four * 4u + 2u] + shift, channel, four * 4u + 2u),
        element(corners[four * 4u + 3u] + shift, channel, four * 4u + 3u),
      );
      let output = first_output + four * 4u;
      filters[k * PITCH + four] = vec4f(
        filter_element(output, channel, tap),
        filter_element(output + 1u, channel, tap),
        filter_element(output + 2u, channel, tap),
        filter_element(output + 3u, channel, tap),
      );
    }
    workgroupBarrier();
    for (var i = 0u; i < SLAB; i++) {
      let p = patches[i * PITCH + local.y];
      let q = patches[i * PITCH + 8u + local.y];
      let f = filters[i * PITCH + local.x];
      let g = filters[i * PITCH + 8u + local.x];
      sums[0] += p.x * f;
      sums[1] += p.y * f;
      sums[2] += p.z * f;
      sums[3] += p.w * f;
      sums[4] += q.x * f;
      sums[5] += q.y * f;
      sums[6] += q.z * f;
      sums[7] += q.w * f;
      sums[8] += p.x * g;
      sums[9] += p.y * g;
      sums[10] += p.z * g;
      sums[11] += p.w * g;
      sums[12] += q.x * g;
      sums[13] += q.y * g;
      sums[14] += q.z * g;
      sums[15] += q.w * g;
    }
    workgroupBarrier();
  }

  let pixel = first_pixel + local.y * 4u;
  let output = first_output + local.x * 4u;
  for (var r = 0u; r < 4u; r++) {
    store(pixel + r, output, sums[r]);
    store(pixel + 32u + r, output, sums[4u + r]);
    store(pixel + r, output + 32u, sums[8u + r]);
    store(pixel + 32u + r, output + 32u, sums[12u + r]);
  }
}
