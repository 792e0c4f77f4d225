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
  /**
   * Per new token that is a location, the probability of all locations within 0, 1, 2, 4, ... bins of it
   * (kernels/shared/locations.ts); undefined for other tokens.
   */
  masses: readonly (readonly number[] | undefined)[];
  /** "stop" if the model ended the answer, "length" if `maxNewTokens` did, with or without a forced end token. */
  finishReason: "stop" | "length";
}

/** Tokens that no later step can change. */
export interface DecidedTokens {
  image: number;
  /** Which of the image's answers, best first. */
  sequence: number;
  /** They follow the tokens decided before; the start token is not among them. */
  tokens: readonly number[];
}

export interface StepReport {
  /** Counts from 0; step n looks for the new token n. */
  step: number;
  /** Steps that the run takes at most. */
  maxSteps: number;
  /** Images whose answers are not complete yet. */
  running: number;
  decided: DecidedTokens[];
}
