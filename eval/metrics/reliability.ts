export interface Judged {
  /** 0 to 1. */
  readonly confidence: number;
  readonly isRight: boolean;
}

/** Answers whose confidences lie in one tenth of 0 to 1; a whole tenth belongs to the one that it ends. */
export interface Bin {
  readonly from: number;
  readonly to: number;
  readonly count: number;
  /** Means over the answers in it, NaN without any. */
  readonly confidence: number;
  readonly accuracy: number;
}

const BINS = 10;

/**
 * How far confidences can be taken at their word: the bins of a reliability diagram and the expected
 * calibration error, the mean distance between confidence and accuracy of the bins, weighted by their counts
 * (Guo et al., 2017, equation 3).
 */
export function reliability(answers: readonly Judged[]): { bins: Bin[]; expectedCalibrationError: number } {
  const bins = Array.from({ length: BINS }, (_, i): Bin => {
    const own = answers.filter(
      ({ confidence }) => Math.min(Math.max(Math.ceil(confidence * BINS) - 1, 0), BINS - 1) === i,
    );
    return {
      from: i / BINS,
      to: (i + 1) / BINS,
      count: own.length,
      confidence: own.reduce((sum, { confidence }) => sum + confidence, 0) / own.length,
      accuracy: own.filter(({ isRight }) => isRight).length / own.length,
    };
  });
  const distances = bins
    .filter(({ count }) => count > 0)
    .map(({ count, confidence, accuracy }) => count * Math.abs(accuracy - confidence));
  return {
    bins,
    expectedCalibrationError: distances.reduce((sum, distance) => sum + distance, 0) / answers.length,
  };
}
