import { Florence2Error } from "../../core/errors.ts";
import { BeamSearch } from "./beam_search.ts";
import { type GenerationSettings, integer } from "./options.ts";
import { checkFinite } from "./scores.ts";
import type { DecidedTokens, DecoderStep, GeneratedSequence, StepReport } from "./search.ts";
import { SingleBeam } from "./single_beam.ts";

/**
 * Decodes answers to a batch of pictures with the semantics of `transformers.GenerationMixin.generate`.
 *
 * The decoder runs `batch * settings.rowsPerPicture` rows from the first step to the last; picture p has
 * the rows from p * rowsPerPicture on. What the decoder returns for complete answers is ignored.
 *
 * @param batch number of pictures
 * @returns per picture its answers, best first: `settings.numReturnSequences` of them, fewer only if
 *   there are no more
 * @throws Florence2Error `non_finite` if a logit is NaN or infinite, naming the step; `option_invalid` if
 *   the options leave no token to continue with; the signal's reason if it aborts
 */
export async function generate(
  step: DecoderStep,
  batch: number,
  settings: GenerationSettings,
): Promise<GeneratedSequence[][]> {
  const steps = stream(step, batch, settings);
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
  step: DecoderStep,
  batch: number,
  settings: GenerationSettings,
): AsyncGenerator<StepReport, GeneratedSequence[][], undefined> {
  const { rowsPerPicture, numBeams, numReturnSequences, maxNewTokens, model, signal } = settings;
  const pictures = Array.from({ length: integer("batch", batch, 1, Number.MAX_SAFE_INTEGER) }, () => ({
    search: numBeams > 1 ? new BeamSearch(settings) : new SingleBeam(settings),
    reported: new Uint32Array(numReturnSequences),
  }));
  const rows = batch * rowsPerPicture;
  const tokens = new Uint32Array(rows);
  const parents = new Uint32Array(rows);

  for (let position = 0; pictures.some(({ search }) => !search.done); position++) {
    signal?.throwIfAborted();
    for (const [picture, { search }] of pictures.entries()) {
      const firstRow = picture * rowsPerPicture;
      tokens.set(search.tokens, firstRow);
      parents.set(
        search.parents.map((row) => firstRow + row),
        firstRow,
      );
    }
    const logits = await step(tokens, parents, position);
    checkSize(logits, rows, model.vocabSize);

    const decided: DecidedTokens[] = [];
    for (const [picture, { search, reported }] of pictures.entries()) {
      if (search.done) continue;
      const size = rowsPerPicture * model.vocabSize;
      const own = logits.subarray(picture * size, (picture + 1) * size);
      checkFinite(own, position, picture);
      search.advance(own);
      for (const [sequence, certain] of search.certain().entries()) {
        const news = certain.slice(reported[sequence]);
        if (news.length > 0) decided.push({ picture, sequence, tokens: news });
        reported[sequence] = certain.length;
      }
    }
    const running = pictures.filter(({ search }) => !search.done).length;
    const report = { step: position, maxSteps: maxNewTokens, running, decided };
    await settings.onStep?.(report);
    yield report;
  }
  return pictures.map(({ search }) => search.sequences());
}

function checkSize(logits: Float32Array, rows: number, vocabSize: number): void {
  if (logits.length === rows * vocabSize) return;
  throw new Florence2Error(
    "shape_mismatch",
    `the decoder step returned ${logits.length} logits, expected ${rows} rows of ${vocabSize}`,
    { found: logits.length, rows, vocabSize },
  );
}
