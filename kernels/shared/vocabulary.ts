/** Scores of the vocabulary are looked at in slices of so many tokens, a workgroup each; as in the shaders. */
export const SLICE = 16 * 64;
/** Stands for the score of what can't be: the lowest number of single precision. */
export const LOWEST = -(2 - 2 ** -23) * 2 ** 127;
