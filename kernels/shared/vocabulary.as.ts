/** Scores of the vocabulary are looked at in slices of so many tokens; as in vocabulary.ts. */
export const SLICE: u32 = 1024;
/** Stands for the score of what can't be: the lowest number of single precision. */
export const LOWEST: f32 = -3.4028234663852886e38;

/** Lanes that are numbers and not infinite. */
// @ts-ignore: decorator
@inline
export function finite_lanes(x: v128): v128 {
  return f32x4.eq(f32x4.sub(x, x), f32x4.splat(0));
}
