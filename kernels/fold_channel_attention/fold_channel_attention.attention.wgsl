// What the variants of fold_channel_attention share: attention between the channels of a group.
//
// uses fold_channel_attention: D, LANES, params, partials

override QUADS: u32 = D / 4u;
var<workgroup> attention: array<vec4f, D * QUADS>;

fn find_attention(group: u32, lane: u32) {
  for (var i = lane; i < D * QUADS; i += LANES) {
    var four = vec4f(0.0);
    for (var chunk = 0u; chunk < params.chunks; chunk++) {
      four += partials[(chunk * params.groups + group) * D * QUADS + i];
    }
    attention[i] = four * params.scale;
  }
  workgroupBarrier();
  if (lane < D) {
    let row = lane * QUADS;
    var highest = attention[row];
    for (var i = 1u; i < QUADS; i++) {
      highest = max(highest, attention[row + i]);
    }
    let largest = max(max(highest.x, highest.y), max(highest.z, highest.w));
    var total = vec4f(0.0);
    for (var i = 0u; i < QUADS; i++) {
      attention[row + i] = exp(attention[row + i] - largest);
      total += attention[row + i];
    }
    for (var i = 0u; i < QUADS; i++) {
      attention[row + i] /= dot(total, vec4f(1.0));
    }
  }
  workgroupBarrier();
}
