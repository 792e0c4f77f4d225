import type { TraceRow } from "../../kernels/shared/search_trace.ts";
import { ImageSearch } from "./image_search.ts";
import type { GenerationSettings } from "./options.ts";
import type { DecidedTokens, GeneratedSequence, StepReport } from "./report.ts";

/** Runs the decoder and its searches: takes some steps at a time, and returns what each decided, by row. */
export interface Decoding {
  advance(): Promise<readonly (readonly TraceRow[])[]>;
}

/**
 * Decodes answers to a batch of images with the semantics of `transformers.GenerationMixin.generate`.
 * Image i has the rows from i * rowsPerImage on.
 *
 * @param batch number of images
 * @returns per image its answers, best first: `settings.numReturnSequences` of them, fewer only if
 *   there are no more
 * @throws {Florence2Error} `non_finite` if a logit is NaN or infinite, naming the step; `option_invalid` if
 *   the options leave no token to continue with; the signal's reason if it aborts
 */
export async function generate(
  decoding: Decoding,
  batch: number,
  settings: GenerationSettings,
): Promise<GeneratedSequence[][]> {
  const steps = stream(decoding, batch, settings);
  for (;;) {
    const { done, value } = await steps.next();
    if (done) return value;
  }
}

/** Like `generate`, but yields a report of each step; the answers are the generator's return value. */
export async function* stream(
  decoding: Decoding,
  batch: number,
  settings: GenerationSettings,
): AsyncGenerator<StepReport, GeneratedSequence[][], undefined> {
  const searches = searchesOf(batch, settings);
  for await (const report of search(decoding, searches, settings)) {
    for (const { failure } of searches) if (failure !== undefined) throw failure;
    yield report;
  }
  return searches.map((one) => one.sequences());
}

export const searchesOf = (batch: number, settings: GenerationSettings): ImageSearch[] =>
  Array.from({ length: batch }, (_, image) => new ImageSearch(settings, image));

/**
 * Advances until the searches of all images are done, and reports each step with the tokens that it made
 * certain. Greedy search and sampling decide a token a step. Beam search decides a token once all beams agree on
 * it, and the rest when the image's answers are complete; of several answers all but the best come then, in one
 * piece. A search that fails is done, with its `failure`; the others go on.
 */
export async function* search(
  decoding: Decoding,
  searches: readonly ImageSearch[],
  { maxNewTokens, signal, onStep }: GenerationSettings,
): AsyncGenerator<StepReport, void, undefined> {
  const countRunning = () => searches.filter(({ done }) => !done).length;
  for (let step = 0; countRunning() > 0; ) {
    signal?.throwIfAborted();
    for (const rows of await decoding.advance()) {
      signal?.throwIfAborted();
      const decided: DecidedTokens[] = searches.flatMap((one, image) =>
        one.append(rows).map((news) => ({ image, ...news })),
      );
      const report = { step, maxSteps: maxNewTokens, running: countRunning(), decided };
      const hasFailed = searches.some(({ failure }) => failure !== undefined);
      if (report.running > 0 || !hasFailed) await onStep?.(report);
      yield report;
      step++;
      // Steps that the device ran after the last answer was complete repeat it.
      if (report.running === 0) break;
    }
  }
}
