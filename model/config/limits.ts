/** Layers of a stage or of a stack; far above any model. */
export const MAX_LAYERS = 1000;

/** Rows of the decoder that one image takes at most: beams, or sampled sequences. */
export const MAX_ROWS_PER_IMAGE = 32;

/** Maximum of the candidates that a step of beam search compares: beams times one more than there are end tokens. */
export const MAX_CANDIDATES = 64;

/** The ranges of generation settings, in a checkpoint's files and as options alike: [min, max]. */
export const GENERATION_RANGES = {
  numBeams: [1, MAX_ROWS_PER_IMAGE],
  temperature: [1e-4, 1e4],
  topP: [0, 1],
  repetitionPenalty: [1e-4, 1e4],
  lengthPenalty: [-10, 10],
} as const;
