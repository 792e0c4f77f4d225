import type { Arrays, Twin, Values } from "../../core/kernel.ts";
import { logNormalizer } from "../shared/log_normalizer.ts";
import {
  CANDIDATE,
  EMPTY_ROW,
  type Ended,
  readTraceRow,
  type TraceRow,
  writeTraceRow,
} from "../shared/search_trace.ts";
import { LOWEST } from "../shared/vocabulary.ts";
import type { signature } from "./search_step.ts";

/** A candidate as the continuation of its beam. */
type Beam = Pick<TraceRow, "token" | "parent" | "logProb" | "score">;

type SearchArrays = Arrays<typeof signature.bindings>;
type Params = Values<typeof signature.params>;

export const searchStepTwin: Twin<typeof signature> = (arrays, params) => {
  const { positions, trace, tokens, ancestry, running } = arrays;
  const { rows, width, capacity } = params;
  for (let search = 0; search < rows / width; search++) {
    const step = positions[search]!++;
    const own = Array.from({ length: width }, (_, i) => search * width + i);
    const before = own.map((row) => (step > 0 ? readTraceRow(trace, (step - 1) * rows + row) : EMPTY_ROW));
    const isDone = before[0]!.done !== 0;
    const after = isDone ? before : advance(arrays, params, own[0]!, step, before);
    for (const [i, row] of own.entries()) writeTraceRow(trace, step * rows + row, after[i]!);
    if (isDone) continue;
    for (const [i, row] of own.entries()) tokens[row] = after[i]!.token;
    if (after[0]!.done) {
      running[0]!--;
      continue;
    }
    const histories = after.map(({ parent }) =>
      ancestry.slice(parent * capacity, parent * capacity + step + 1),
    );
    for (const [i, row] of own.entries()) ancestry.set([...histories[i]!, row], row * capacity);
  }
};

/** The rows of one search after a step, given those before it. */
function advance(
  { sums, lengths, candidates }: SearchArrays,
  params: Params,
  firstRow: number,
  step: number,
  before: readonly TraceRow[],
): TraceRow[] {
  const { width, slices, maximum } = params;
  const generated = step + 1;
  let beams: Beam[] = [];
  let ended = before.map((row) => row.ended);
  for (const [i, { row, token, score, ends }] of bestCandidates(candidates, params, firstRow).entries()) {
    const logProb = width > 1 ? score : logProbability(score, sums, row, slices);
    const sum = Math.fround(logProb + (step > 0 ? before[row - firstRow]!.score : 0));
    if (!ends && generated < maximum) {
      beams.push({ token, parent: row, logProb, score: sum });
    } else if (i < width) {
      // An end that ranks below the width is not worth keeping: so many better beams are still running.
      ended.push({ step, parent: row, token, logProb, score: Math.fround(sum / lengths[generated]!) });
    }
  }
  beams = beams.sort(byScore).slice(0, width);
  ended = ended.sort(byScore).slice(0, width);
  const broken = before.map((_, i) => brokenLogit(sums, firstRow + i, slices));
  const goesOn =
    broken.every(({ brokenToken }) => brokenToken < 0) &&
    canImprove(beams, ended, lengths, generated, params);
  // Without a beam the first row is repeated; its result is not read.
  return before.map((_, i) => ({
    ...(beams[i] ?? { token: 0, parent: firstRow, logProb: 0, score: LOWEST }),
    ended: ended[i]!,
    done: goesOn ? 0 : 1,
    ...broken[i]!,
    masses: EMPTY_ROW.masses,
  }));
}

/** The candidates of a search's rows, best first. */
function bestCandidates(candidates: Uint32Array, { width, slices, best }: Params, firstRow: number) {
  const ofRow = slices * best * CANDIDATE;
  const words = candidates.subarray(firstRow * ofRow, (firstRow + width) * ofRow);
  const floats = new Float32Array(words.buffer, words.byteOffset, words.length);
  return Array.from({ length: words.length / CANDIDATE }, (_, i) => ({
    row: firstRow + Math.floor((i * CANDIDATE) / ofRow),
    key: floats[i * CANDIDATE]!,
    token: words[i * CANDIDATE + 1]!,
    score: floats[i * CANDIDATE + 2]!,
    ends: words[i * CANDIDATE + 3] !== 0,
  }))
    .filter(({ key }) => key > LOWEST)
    .sort((a, b) => b.key - a.key)
    .slice(0, best);
}

function logProbability(score: number, sums: Float32Array, row: number, slices: number): number {
  const { largest, logSum } = logNormalizer(sums, row, slices);
  return Math.fround(Math.fround(score - largest) - logSum);
}

/** Whether a beam may still end up among the best answers, by the reference's rule of thumb. */
function canImprove(
  beams: readonly Beam[],
  ended: readonly Ended[],
  lengths: Float32Array,
  generated: number,
  { stop_early, bound }: Params,
): boolean {
  const worstEnded = ended.at(-1)!.score;
  if (beams.length === 0) return false;
  if (worstEnded === LOWEST) return true;
  return !stop_early && Math.fround(beams[0]!.score / lengths[bound || generated]!) > worstEnded;
}

/** The first logit of a row that is not finite. */
function brokenLogit(sums: Float32Array, row: number, slices: number) {
  for (let slice = 0; slice < slices; slice++) {
    const [, , brokenToken, brokenLogit] = sums.subarray((row * slices + slice) * 4);
    if (brokenToken! >= 0) return { brokenToken: brokenToken!, brokenLogit: brokenLogit! };
  }
  return { brokenToken: -1, brokenLogit: 0 };
}

function byScore(a: { readonly score: number }, b: { readonly score: number }): number {
  return b.score - a.score;
}
