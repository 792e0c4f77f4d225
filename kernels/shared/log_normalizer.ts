/** As in the shader of this name. `sums` is (rows, slices, 4). */
export function logNormalizer(
  sums: Float32Array,
  row: number,
  slices: number,
): { readonly largest: number; readonly logSum: number } {
  const own = Array.from({ length: slices }, (_, slice) => sums.subarray((row * slices + slice) * 4));
  const largest = Math.max(...own.map(([max]) => max!));
  const sum = own.reduce((total, [max, part]) => total + part! * Math.exp(max! - largest), 0);
  return { largest, logSum: Math.fround(Math.log(sum)) };
}
