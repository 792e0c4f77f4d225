import { mix } from "../../measure/generated/random.ts";

/**
 * One step of a decoder for all rows: row r continues row `parents[r]` of the step before.
 *
 * @param tokens [rows] the last token of each row
 * @param parents [rows] r itself in the first step
 * @param position of `tokens` in the answer, 0 for the start token
 * @returns logits [rows, vocab]
 */
export type DecoderStep = (
  tokens: Uint32Array,
  parents: Uint32Array,
  position: number,
) => Promise<Float32Array>;

/** What tests/reference/decoding.py calls the made-up decoder. */
export interface MadeUpDecoder {
  key: number;
  vocab: number;
  context: number;
  spread: number;
  eosBias: number;
}

const EOS = 2;

/** Logits [vocab] after `tokens`, a pure function of the last few of them. */
export function madeUpLogits(decoder: MadeUpDecoder, image: number, tokens: readonly number[]): Float32Array {
  let state = mix(Math.imul(decoder.key, 0x9e3779b9) + image);
  for (const token of tokens.slice(-decoder.context)) state = mix(state ^ Math.imul(token, 0x01000193));
  const unit = 2 ** (decoder.spread - 20);
  const logits = new Float32Array(decoder.vocab);
  for (let token = 0; token < decoder.vocab; token++) {
    logits[token] = (mix(state + Math.imul(token, 0x9e3779b9)) >>> 12) * unit;
  }
  logits[EOS]! += decoder.eosBias / 16;
  return logits;
}

/** A decoder that keeps nothing but the tokens of each row; image p is the `images[p]`-th made-up one. */
export function madeUpStep(decoder: MadeUpDecoder, images: readonly number[]): DecoderStep {
  let answers: number[][] = [];
  return async (tokens, parents, position) => {
    const rowsPerImage = tokens.length / images.length;
    const previous = position === 0 ? Array.from(tokens, () => []) : answers;
    answers = Array.from(tokens, (token, row) => [...previous[parents[row]!]!, token]);
    const logits = new Float32Array(answers.length * decoder.vocab);
    for (const [row, answer] of answers.entries()) {
      const image = images[Math.floor(row / rowsPerImage)]!;
      logits.set(madeUpLogits(decoder, image, answer), row * decoder.vocab);
    }
    return logits;
  };
}
