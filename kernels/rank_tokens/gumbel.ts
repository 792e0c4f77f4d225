/**
 * A random number that depends on nothing but its address: the seed, and where in the run it is used.
 * So an answer does not change with what else is in the batch. Shaders draw the same to single precision.
 *
 * The generator is Philox4x32-10: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", 2011.
 */

const MULTIPLIER_A = 0xd2511f53;
const MULTIPLIER_C = 0xcd9e8d57;
const KEY_STEP_A = 0x9e3779b9;
const KEY_STEP_B = 0xbb67ae85;
const ROUNDS = 10;

type Words2 = readonly [number, number];
type Words4 = readonly [number, number, number, number];

/** Philox4x32-10 of a 128-bit counter under a 64-bit key, as unsigned 32-bit words, lowest first. */
export function philox(counter: Words4, key: Words2): Words4 {
  let a = counter[0];
  let b = counter[1];
  let c = counter[2];
  let d = counter[3];
  let keyA = key[0];
  let keyB = key[1];
  for (let round = 0; round < ROUNDS; round++) {
    const nextA = highWord(MULTIPLIER_C, c) ^ b ^ keyA;
    const nextC = highWord(MULTIPLIER_A, a) ^ d ^ keyB;
    b = Math.imul(MULTIPLIER_C, c);
    d = Math.imul(MULTIPLIER_A, a);
    a = nextA;
    c = nextC;
    keyA = (keyA + KEY_STEP_A) | 0;
    keyB = (keyB + KEY_STEP_B) | 0;
  }
  return [a >>> 0, b >>> 0, c >>> 0, d >>> 0];
}

/**
 * A sample of the standard Gumbel distribution for one token of one row of an image at one step.
 *
 * Adding independent Gumbel noise to scores and taking the k largest draws k tokens without replacement
 * with the probabilities softmax(scores), largest first; so k = 1 is an ordinary draw.
 *
 * @param seed integer from 0 to 2^53 - 1
 */
export function gumbelNoise(seed: number, step: number, row: number, token: number): number {
  const [low, high] = philox([token, row, step, 0], [seed >>> 0, Math.floor(seed / 2 ** 32)]);
  // The middle of one of 2^52 equal intervals: uniform, and neither 0 nor 1, whose logarithms would not do.
  const uniform = ((high >>> 12) * 2 ** 32 + low + 0.5) / 2 ** 52;
  return -Math.log(-Math.log(uniform));
}

/** The upper 32 bits of the 64-bit product of two unsigned 32-bit words. */
function highWord(x: number, y: number): number {
  const xHigh = x >>> 16;
  const xLow = x & 0xffff;
  const yHigh = y >>> 16;
  const yLow = y & 0xffff;
  const middle = xHigh * yLow + ((xLow * yLow) >>> 16);
  return xHigh * yHigh + (middle >>> 16) + (((middle & 0xffff) + xLow * yHigh) >>> 16);
}
