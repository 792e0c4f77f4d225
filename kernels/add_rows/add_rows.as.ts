// A unit is STEP elements.
const STEP: u32 = 4096;

export function add_rows_units(count: u32, first: u32): u32 {
  return (count + STEP - 1) / STEP;
}

export function add_rows(x: usize, table: usize, out: usize, count: u32, first: u32, begin: u32, end: u32): void {
  const other = table + <usize>first * 4;
  let i = begin * STEP;
  const last = min(end * STEP, count);
  for (; i + 4 <= last; i += 4) {
    const at = <usize>i * 4;
    v128.store(out + at, f32x4.add(v128.load(x + at), v128.load(other + at)));
  }
  for (; i < last; i++) {
    const at = <usize>i * 4;
    store<f32>(out + at, load<f32>(x + at) + load<f32>(other + at));
  }
}
