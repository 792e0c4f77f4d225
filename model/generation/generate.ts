import type { TraceRow } from "../../kernels/shared/search_trace.ts";
import { Hypotheses } from "./hypotheses.ts";
import type { GenerationSettings } from "./options.ts";
import type { DecidedTokens, GeneratedSequence, StepReport } from "./report.ts";

/** What runs the decoder and its searches: takes some steps at a time, and says what each decided, by row. */
export interface Decoding {
  advance(): Promise<readonly (readonly TraceRow[])[]>;
}

/**
 * Decodes answers to a batch of pictures with the semantics of `transformers.GenerationMixin.generate`.
 * Picture p has the rows from p * rowsPerPicture on.
 *
 * @param batch number of pictures
 * @returns per picture its answers, best first: `settings.numReturnSequences` of them, fewer only if
 *   there are no more
 * @throws Florence2Error `non_finite` if a logit is NaN or infinite, naming the step; `option_invalid` if
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

/**
 * Like `generate`, but reports each step with the tokens it decided; the answers are the generator's return
 * value. Greedy search and sampling decide a token per step. Beam search decides a token once all beams
 * agree on it, and whatever is left when the picture's answers are complete; of several answers all but the
 * best come then, in one piece.
 */
export async function* stream(
  decoding: Decoding,
  batch: number,
  settings: GenerationSettings,
): AsyncGenerator<StepReport, GeneratedSequence[][], undefined> {
  const { rowsPerPicture, numBeams, numReturnSequences, maxNewTokens, signal } = settings;
  const searches = rowsPerPicture / numBeams;
  const pictures = Array.from({ length: batch }, (_, picture) => ({
    answers: Array.from(
      { length: searches },
      (_, search) => new Hypotheses(settings, picture * rowsPerPicture + search * numBeams),
    ),
    reported: new Uint32Array(numReturnSequences),
  }));

  let running = batch;
  for (let step = 0; running > 0; ) {
    signal?.throwIfAborted();
    for (const rows of await decoding.advance()) {
      signal?.throwIfAborted();
      const decided: DecidedTokens[] = [];
      for (const [picture, { answers, reported }] of pictures.entries()) {
        if (answers.every(({ done }) => done)) continue;
        for (const own of answers) if (!own.done) own.append(rows);
        for (const [sequence, certain] of answers.flatMap((own) => own.certain()).entries()) {
          const news = certain.slice(reported[sequence]);
          if (news.length > 0) decided.push({ picture, sequence, tokens: news });
          reported[sequence] = certain.length;
        }
      }
      running = pictures.filter(({ answers }) => answers.some(({ done }) => !done)).length;
      const report = { step, maxSteps: maxNewTokens, running, decided };
      await settings.onStep?.(report);
      yield report;
      step++;
      // What the device ran after the last answer was complete repeats it.
      if (running === 0) break;
    }
  }
  return pictures.map(({ answers }) => answers.flatMap((own) => own.sequences()));
}
