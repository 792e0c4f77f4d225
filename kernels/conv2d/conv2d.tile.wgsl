// out[h, w, o] = bias[o] + sum over c, i, j of weight[o, i, j, c]
//   * x[h * STRIDE + i - PADDING, w * STRIDE + j - PADDING, c], where x is 0 outside of the map and may be the
// layer norm of what is bound
//
// A matrix product of patches and filters, staged as in matmul.tile.wgsl: one workgroup of LANES invocations per TILE
// pixels and TILE outputs, tap after tap. For the norm, SHARE lanes look at the pixel that a tap reads of each patch;
// without one, a slab may go on with the next tap.
//
// uses conv2d.map: OUTSIDE, TAPS, corner, four_of_map, source
// uses grid: linear_workgroup
// uses row_statistics: find_statistics_from, statistics
// uses tile.*: LANES, Lane, OwnSums, PITCH, SLAB, TURNS, add_slab, lane_of, stage, store_turn
// uses weights.*: four_of_weight, stored_weight
// uses constants: TILE

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

const ROWS = TILE;
const SHARE = LANES / ROWS;
// Vectors of a slab that a lane brings.
const PARTS = TILE * SLAB / LANES;

fn store(first_row: u32, pixel: u32, output: u32, sum: f32) {
  if (pixel < params.out_height * params.out_width && output < params.outputs) {
    out[pixel * params.outputs + output] = sum + bias[output];
  }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, at: Lane) {
  let lane = lane_of(at);
  let output_tiles = (params.outputs + TILE - 1u) / TILE;
  let number = linear_workgroup(group, groups);
  let first_pixel = number / output_tiles * TILE;
  let first_output = number % output_tiles * TILE;
  let last_pixel = params.out_height * params.out_width - 1u;
  let last_output = params.outputs - 1u;
  if (first_pixel > last_pixel) {
    return;
  }

  let r = lane / SLAB;
  let q = lane % SLAB;
  var corners: array<vec2u, PARTS>;
  for (var part = 0u; part < PARTS; part++) {
    corners[part] = corner(min(first_pixel + part * (LANES / SLAB) + r, last_pixel));
  }
  let own_corner = corner(min(first_pixel + lane / SHARE, last_pixel));

  let vectors = params.channels / 4u;
  let taps_at_once = select(TAPS, 1u, HAS_NORM == 1u);
  var sums: OwnSums;
  for (var tap = 0u; tap < TAPS; tap += taps_at_once) {
    if (HAS_NORM == 1u) {
      let pixel = source(own_corner, tap);
      find_statistics_from(select(pixel, 0u, pixel == OUTSIDE) * vectors, vectors, SHARE, lane);
    }
    for (var start = 0u; start < taps_at_once * vectors; start += SLAB) {
      let vector = start + q;
      for (var part = 0u; part < PARTS; part++) {
        let row = part * (LANES / SLAB) + r;
        var from_map = vec4f(0.0);
        var from_filter = vec4f(0.0);
        if (vector < taps_at_once * vectors) {
          let output = min(first_output + row, last_output);
          from_map = four_of_map(source(corners[part], tap + vector / vectors), statistics[row], vector % vectors);
          from_filter = four_of_weight((output * TAPS + tap) * vectors + vector);
        }
        stage(row * PITCH + q, from_map, from_filter);
      }
      workgroupBarrier();
      add_slab(&sums, lane);
      workgroupBarrier();
    }
  }
  for (var turn = 0u; turn < TURNS; turn++) {
    store_turn(turn, &sums, first_pixel, first_output, lane);
  }
}
