// A random number that depends on nothing but its address and the seed. See gumbel.ts.

/** Philox4x32-10 of (token, row, step, 0): its two lower words, the first in the lower half. */
function philox(token: u32, row: u32, step: u32, seed_low: u32, seed_high: u32): u64 {
  let a = token;
  let b = row;
  let c = step;
  let d: u32 = 0;
  for (let round = 0; round < 10; round++) {
    const of_a = <u64>a * 0xd2511f53;
    const of_c = <u64>c * 0xcd9e8d57;
    a = <u32>(of_c >> 32) ^ b ^ seed_low;
    c = <u32>(of_a >> 32) ^ d ^ seed_high;
    b = <u32>of_c;
    d = <u32>of_a;
    seed_low += 0x9e3779b9;
    seed_high += 0xbb67ae85;
  }
  return ((<u64>b) << 32) | a;
}

/** A sample of the standard Gumbel distribution for one token of one row of an image at one step. */
export function gumbel_noise(token: u32, row: u32, step: u32, seed_low: u32, seed_high: u32): f64 {
  const words = philox(token, row, step, seed_low, seed_high);
  const high = <u32>(words >> 32) >> 12;
  const uniform = (<f64>high * 4294967296.0 + <f64>(<u32>words) + 0.5) / 4503599627370496.0;
  return -Math.log(-Math.log(uniform));
}
