import type { TraceRow } from "../../kernels/shared/search_trace.ts";
import { Hypotheses } from "./hypotheses.ts";
import type { GenerationSettings } from "./options.ts";
import type { DecidedTokens, GeneratedSequence } from "./report.ts";

/** The answers to one question of a batch, as the steps of its searches decide them. */
export class ImageSearch {
  readonly #searches: readonly Hypotheses[];
  /** How many tokens of each answer were reported. */
  readonly #reported: Uint32Array;
  #abandoned = false;
  #failure: unknown;

  /** @param image its place in the batch */
  constructor(settings: GenerationSettings, image: number) {
    const { rowsPerImage, numBeams, numReturnSequences } = settings;
    this.#searches = Array.from(
      { length: rowsPerImage / numBeams },
      (_, search) => new Hypotheses(settings, image * rowsPerImage + search * numBeams),
    );
    this.#reported = new Uint32Array(numReturnSequences);
  }

  /** Whether no further step is needed. */
  get done(): boolean {
    return (
      this.#abandoned || this.#failure !== undefined || this.#searches.every((hypotheses) => hypotheses.done)
    );
  }

  /** Why there are no answers: `non_finite` or `option_invalid`. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Takes one more step, given the rows of the whole batch, and returns the tokens that it made certain. */
  append(rows: readonly TraceRow[]): Omit<DecidedTokens, "image">[] {
    if (this.done) return [];
    try {
      for (const hypotheses of this.#searches) if (!hypotheses.done) hypotheses.append(rows);
    } catch (error) {
      this.#failure = error;
      return [];
    }
    const decided: Omit<DecidedTokens, "image">[] = [];
    for (const [sequence, certain] of this.#searches.flatMap((one) => one.certain()).entries()) {
      const tokens = certain.slice(this.#reported[sequence]);
      if (tokens.length > 0) decided.push({ sequence, tokens });
      this.#reported[sequence] = certain.length;
    }
    return decided;
  }

  /** No further step is wanted. */
  abandon(): void {
    this.#abandoned = true;
  }

  /** The answers, best first, once done without a failure. */
  sequences(): GeneratedSequence[] {
    return this.#searches.flatMap((hypotheses) => hypotheses.sequences());
  }
}
