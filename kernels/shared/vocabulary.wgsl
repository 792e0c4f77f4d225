// Scores of the vocabulary are looked at in slices of so many tokens, sixteen for each lane of a workgroup.
const SLICE = 16u * 64u;
// Stands for the score of what can't be.
const LOWEST = -0x1.fffffep+127f;

// A key and where it stands; of equal keys the first wins.
struct Best {
  key: f32,
  index: u32,
}

fn is_better(a: Best, b: Best) -> bool {
  return a.key > b.key || (a.key == b.key && a.index < b.index);
}

// NaN and the infinities have all bits of the exponent set.
fn is_finite(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}
