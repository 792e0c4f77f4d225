/** What the decoding loop, the model and the searches hand each other. */

/**
 * One step of the decoder for all rows, a row being one running answer of one picture. Row r of this step
 * continues row `parents[r]` of the previous step, so its cached keys and values must follow it.
 *
 * @param tokens [rows] the last token of each row
 * @param parents [rows] r itself in the first step
 * @param position of `tokens` in the answer, 0 for the start token
 * @returns logits [rows, vocab], valid until the next call
 */
export type DecoderStep = (
  tokens: Uint32Array,
  parents: Uint32Array,
  position: number,
) => Promise<Float32Array>;

export interface GeneratedSequence {
  /** The answer with its start token and, if it has one, its end token; no padding. */
  tokens: readonly number[];
  /**
   * Sum of `logProbs` divided by (number of new tokens)^lengthPenalty: `sequences_scores` of the
   * reference, which has it for beam search only.
   */
  score: number;
  /**
   * Per new token, the natural logarithm of its probability; 0 for forced tokens. These are the numbers of
   * `compute_transition_scores`: for greedy search and sampling after all rules and normalised
   * (normalize_logits=True), for beam search log-softmax first and then the rules (normalize_logits=False).
   */
  logProbs: readonly number[];
  /** "stop" if the model ended the answer, "length" if `maxNewTokens` did, with or without a forced end token. */
  finishReason: "stop" | "length";
}

/** Tokens that no later step can change. */
export interface DecidedTokens {
  picture: number;
  /** Which of the picture's answers, best first. */
  sequence: number;
  /** They follow the tokens decided before; the start token is not among them. */
  tokens: readonly number[];
}

export interface StepReport {
  /** Counts from 0; step n looks for the new token n. */
  step: number;
  /** Steps that the run takes at most. */
  maxSteps: number;
  /** Pictures whose answers are not complete yet. */
  running: number;
  decided: DecidedTokens[];
}

/** The search for the answers to one picture. Its rows do not depend on other pictures. */
export interface Search {
  readonly done: boolean;
  /** [rows] what to feed the decoder next. */
  readonly tokens: Uint32Array;
  /** [rows] the picture's row that each continues. */
  readonly parents: Uint32Array;
  /** Takes in the logits [rows, vocab] of the last step, all finite. */
  advance(logits: Float32Array): void;
  /** Per answer, best first, the new tokens that are certain; once done, those of all answers. */
  certain(): readonly (readonly number[])[];
  /** The answers, best first, once done. */
  sequences(): GeneratedSequence[];
}
