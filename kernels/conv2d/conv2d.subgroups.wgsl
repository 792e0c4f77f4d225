// out[h, w, o] = bias[o] + sum over c, i, j of weight[o, i, j, c]
//   * x[h * STRIDE + i - PADDING, w * STRIDE + j - PADDING, c], where x is 0 outside of the map and may be the
// layer norm of what is bound
//
// A matrix product of patches and filters, tap after tap. One workgroup of 32 invocations per 16 pixels and 128
// outputs; lane l computes 16 pixels of outputs l, l + 32, ... (see sixteen_rows.wgsl). For the norm, two lanes look
// at the pixel that a tap reads of each patch.

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
override HAS_NORM: u32 = 0;

@group(0) @binding(0) var<storage, read> normed: array<vec4f>;
@group(0) @binding(1) var<storage, read> norm_weight: array<vec4f>;
@group(0) @binding(2) var<storage, read> norm_bias: array<vec4f>;
@group(0) @binding(3) var<storage, read> weight: array<stored_weight>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 32u;
const COLUMNS = 4u * LANES;
const SHARE = LANES / ROWS;
var<workgroup> statistics_of_taps: array<vec2f, ROWS * TAPS>;

fn store(pixel: u32, output: u32, sum: f32) {
  if (output < params.outputs) {
    out[pixel * params.outputs + output] = sum + bias[output];
  }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, at: Lane) {
  let lane = lane_of(at);
  let output_tiles = (params.outputs + COLUMNS - 1u) / COLUMNS;
  let number = linear_workgroup(group, groups);
  let first_pixel = number / output_tiles * ROWS;
  let last_pixel = params.out_height * params.out_width - 1u;
  let outputs = number % output_tiles * COLUMNS + lane + LANES * vec4u(0u, 1u, 2u, 3u);
  if (first_pixel > last_pixel) {
    return;
  }

  let vectors = params.channels / 4u;
  let filters = min(outputs, vec4u(params.outputs - 1u)) * TAPS;
  let upper_corner = corner(min(first_pixel + at.place % 8u, last_pixel));
  let lower_corner = corner(min(first_pixel + 8u + at.place % 8u, last_pixel));
  let are_many = last_pixel - first_pixel >= FEW;
  if (HAS_NORM == 1u) {
    let own_corner = corner(min(first_pixel + lane / SHARE, last_pixel));
    // All before the first sum, since barriers drive sums out of the registers.
    for (var tap = 0u; tap < TAPS; tap++) {
      let pixel = source(own_corner, tap);
      find_statistics_from(select(pixel, 0u, pixel == OUTSIDE) * vectors, vectors, SHARE, at);
      if (lane < ROWS) {
        statistics_of_taps[tap * ROWS + lane] = statistics[lane];
      }
    }
    workgroupBarrier();
  }
  var sums: Sums;
  for (var tap = 0u; tap < TAPS; tap++) {
    let upper = source(upper_corner, tap);
    let lower = source(lower_corner, tap);
    let upper_statistics = statistics_of_taps[tap * ROWS + at.place % 8u];
    let lower_statistics = statistics_of_taps[tap * ROWS + 8u + at.place % 8u];
    let starts = (filters + tap) * vectors;
    for (var k = 0u; k < vectors; k++) {
      add_products(
        &sums,
        four_of_map(upper, upper_statistics, k),
        four_of_map(lower, lower_statistics, k),
        weights_of_columns(starts, k),
        are_many,
      );
    }
  }
  for (var pixel = first_pixel; pixel <= min(first_pixel + ROWS - 1u, last_pixel); pixel++) {
    let four = next_sums(&sums);
    store(pixel, outputs.x, four.x);
    store(pixel, outputs.y, four.y);
    store(pixel, outputs.z, four.z);
    store(pixel, outputs.w, four.w);
  }
}
