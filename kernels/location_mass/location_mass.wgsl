// trace[step, r].masses[i] = sum over the locations k no more than RADII[i] bins from the one that row r chose
//                            of exp(scores[parent, k] - normalizer),  RADII = 0, 1, 2, 4, ...
//
// One workgroup per row; lane l looks at locations l, l + 64, ...
//
// uses best_of_lanes: LANES
// uses grid: linear_workgroup
// uses log_normalizer: log_normalizer
// uses reduce: reduce_sum
// uses search_trace: RADII, TraceRow

struct Params {
  rows: u32,
  columns: u32,
  slices: u32,
  first_location: u32,
  normalize: u32,
}

@group(0) @binding(0) var<storage, read> scores: array<f32>;
@group(0) @binding(1) var<storage, read> sums: array<vec4f>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read_write> trace: array<TraceRow>;
@group(1) @binding(0) var<uniform> params: Params;

// As in locations.ts.
const LOCATIONS = 1000u;

// The number of the smallest radius that is no less.
fn radius_of(distance: u32) -> u32 {
  return select(33u - countLeadingZeros(distance - 1u), 0u, distance == 0u);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_workgroup(group, groups);
  if (row >= params.rows) {
    return;
  }
  let place = (position[0] - 1u) * params.rows + row;
  let token = trace[place].token;
  let is_location = token >= params.first_location && token < params.first_location + LOCATIONS;
  let parent = trace[place].parent;
  var normalizer = vec2f(0.0);
  if (params.normalize != 0u) {
    normalizer = log_normalizer(parent, params.slices, lane);
  }
  let first = parent * params.columns + params.first_location;
  let chosen = select(0u, token - params.first_location, is_location);

  var rings: array<f32, RADII>;
  for (var k = lane; k < LOCATIONS; k += LANES) {
    let distance = max(k, chosen) - min(k, chosen);
    rings[radius_of(distance)] += exp((scores[first + k] - normalizer.x) - normalizer.y);
  }
  var mass = 0.0;
  for (var i = 0u; i < RADII; i++) {
    mass += reduce_sum(rings[i], lane);
    if (lane == 0u && is_location) {
      trace[place].masses[i] = mass;
    }
  }
}
