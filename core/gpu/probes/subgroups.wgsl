// Whether a compiler knows the numbers of subgroups, which came later than subgroups. Nobody runs this.

enable subgroups;

var<workgroup> sums: array<u32, 8>;

@compute @workgroup_size(64)
fn main(
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_size) size: u32,
  @builtin(subgroup_invocation_id) place: u32,
) {
  sums[subgroup % 8u] = subgroupShuffleXor(subgroup * size + place, 1u);
}
