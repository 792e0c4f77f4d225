import { kernelCases } from "../shared/kernel_cases.ts";
import { CANDIDATE, EMPTY_ROW, TRACE_ROW, writeTraceRow } from "../shared/search_trace.ts";
import { LOWEST } from "../shared/vocabulary.ts";
import { type SearchStepOptions, searchStep, searchStepKernel } from "./search_step.ts";

const END = 2;
const options: SearchStepOptions = { maximum: 40, stop: true };
const stopsAtMost: SearchStepOptions = { ...options, stop: "at most" };
const stopsByLength: SearchStepOptions = { ...options, stop: "at length so far" };

/** S searches of `width` rows; a token of `ends` is the end, `ended` answers of each search have ended. */
export default kernelCases(searchStepKernel, {
  cases: [
    {
      name: "greedy",
      S: 1,
      width: 1,
      slices: 51,
      step: 7,
      ends: 9,
      ended: 0,
      options,
    },
    { name: "3 beams of base", S: 1, width: 3, slices: 51, step: 20, ends: 9, ended: 1, options },
    { name: "8 images of 5 beams", S: 8, width: 5, slices: 51, step: 20, ends: 3, ended: 3, options },
    { name: "first step", S: 2, width: 3, slices: 2, step: 0, ends: 4, ended: 0, options },
    { name: "last step", S: 2, width: 3, slices: 2, step: 39, ends: 4, ended: 1, options },
    {
      name: "32 beams",
      S: 1,
      width: 32,
      slices: 51,
      step: 20,
      ends: 3,
      ended: 30,
      options: stopsAtMost,
    },
    {
      name: "stops by length",
      S: 6,
      width: 2,
      slices: 3,
      step: 9,
      ends: 4,
      ended: 2,
      options: stopsByLength,
    },
    {
      name: "a search that is done",
      S: 3,
      width: 2,
      slices: 3,
      step: 9,
      ends: 4,
      ended: 2,
      done: 1,
      options,
    },
    {
      name: "no candidates, and a broken logit",
      S: 3,
      width: 2,
      slices: 3,
      step: 9,
      ends: 4,
      ended: 0,
      broken: true,
      options,
    },
  ],
  inputs: ({ S, width, slices, step, ends, ended, done, broken, options: { maximum } }, random) => {
    const [R, T, best] = [S * width, maximum, width === 1 ? 1 : 2 * width];
    const falling = (random.normal(R, slices, best).data as Float32Array).map(
      (x, i) => -0.2 * Math.abs(x) - (i % best),
    );
    const tokens = random.integers(ends, R, slices, best).data;
    const candidates = new Uint32Array(R * slices * best * CANDIDATE);
    const floats = new Float32Array(candidates.buffer);
    for (const [i, key] of falling.entries()) {
      floats[i * CANDIDATE] = broken && i < width * slices * best ? LOWEST : key;
      candidates[i * CANDIDATE + 1] = tokens[i]!;
      floats[i * CANDIDATE + 2] = key;
      candidates[i * CANDIDATE + 3] = tokens[i] === END ? 1 : 0;
    }
    const trace = new Uint32Array(T * R * TRACE_ROW);
    for (let row = 0; row < R && step > 0; row++) {
      const place = row % width;
      const end = { step: 3, parent: row, token: END, logProb: -0.5, score: -0.2 - 0.1 * place };
      writeTraceRow(trace, (step - 1) * R + row, {
        ...EMPTY_ROW,
        token: 5,
        parent: row,
        score: -1 - 0.3 * place,
        done: done !== undefined && Math.floor(row / width) === done ? 1 : 0,
        ...(place < ended && { ended: end }),
      });
    }
    // The last slice has a logit that is not finite, if any has.
    const last = broken ? (R * slices - 1) * 4 : Number.NEGATIVE_INFINITY;
    const sums = random
      .normal(R, slices, 4)
      .data.map((x, i) => (i === last + 2 ? 7 : i === last + 3 ? -3 : [x, 100 + x, -1, 0][i % 4]!));
    return {
      candidates: { shape: [R, slices, best, CANDIDATE], data: candidates },
      sums: { shape: [R, slices, 4], data: sums },
      lengths: { shape: [maximum + 1], data: Float32Array.from({ length: maximum + 1 }, (_, n) => n) },
      positions: { shape: [S], data: new Uint32Array(S).fill(step) },
      trace: { shape: [T, R, TRACE_ROW], data: trace },
      tokens: random.integers(100, R),
      ancestry: random.integers(R, R, T),
      running: { shape: [1], data: Uint32Array.of(S) },
    };
  },
  record: (rec, tensors, testCase) => {
    const { candidates, sums, ...state } = tensors as Record<string, NonNullable<(typeof tensors)[string]>>;
    const { positions, trace, tokens, ancestry, running, lengths } = state;
    const search = {
      positions: positions!,
      trace: trace!,
      tokens: tokens!,
      ancestry: ancestry!,
      running: running!,
      lengths: lengths!,
    };
    searchStep(rec, candidates!, sums!, search, testCase.options);
    return { trace: search.trace, tokens: search.tokens, ancestry: search.ancestry, running: search.running };
  },
  work: ({ S, width, slices }) => ({ bytes: 4 * CANDIDATE * S * width * slices * 2 * width, operations: 0 }),
  // Also of the bits of the trace's floats, where it is a thousandth; whole numbers have to be equal.
  tolerance: 1e-5,
});
