// A probe, compiled and never run: the types and functions of matrix units as our kernels write them. They are
// experimental, and their spelling has changed before.

enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sums = subgroup_matrix_result<f32, 16, 16>;
var<workgroup> tile: array<vec4<f16>, 64>;
var<workgroup> block: array<f32, 256>;

@compute @workgroup_size(32)
fn main(@builtin(subgroup_id) subgroup: u32) {
  var sums: Sums;
  let left = subgroupMatrixLoad<Left, row_major>(&tile, subgroup, 4u);
  let right = subgroupMatrixLoad<Right, col_major>(&tile, 0u, 4u);
  sums = subgroupMatrixMultiplyAccumulate(left, right, sums);
  subgroupMatrixStore<row_major>(&block, 0u, sums, 16u);
}
