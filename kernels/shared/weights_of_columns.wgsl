// The factors of four products (see sixteen_rows.wgsl), of weights whose rows make the lane's columns: vector k of the
// rows that begin there.
fn weights_of_columns(starts: vec4u, k: u32) -> mat4x4f {
  return transpose(mat4x4f(
    four_of_weight(starts.x + k),
    four_of_weight(starts.y + k),
    four_of_weight(starts.z + k),
    four_of_weight(starts.w + k),
  ));
}
