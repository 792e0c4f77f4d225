import { ceilDiv } from "../../core/kernel.ts";
import { kernelCases } from "../shared/kernel_cases.ts";
import { EMPTY_ROW, TRACE_ROW, writeTraceRow } from "../shared/search_trace.ts";
import { SLICE } from "../shared/vocabulary.ts";
import { type RankTokensOptions, rankTokens, rankTokensKernel } from "./rank_tokens.ts";

const free = { ngram: 0, penalty: 1, minimum: 0, maximum: 100, forcedFirst: null, forcesLast: false };
const usual = { ...free, ngram: 3, forcedFirst: 0, forcesLast: true };
const options: RankTokensOptions = {
  best: 1,
  width: 1,
  startToken: 2,
  normalize: false,
  rules: usual,
};
const beams: RankTokensOptions = { ...options, best: 6, width: 3, normalize: true };

/** `used`: how many different tokens the answers have, so that runs of them repeat. */
export default kernelCases(rankTokensKernel, {
  cases: [
    { name: "base, greedy", R: 1, V: 51289, T: 64, position: 20, used: 3, options },
    { name: "base, 3 beams", R: 3, V: 51289, T: 64, position: 20, used: 3, options: beams },
    {
      name: "8 images of 5 beams",
      R: 40,
      V: 51289,
      T: 64,
      position: 63,
      used: 3,
      options: { ...beams, best: 10, width: 5 },
    },
    { name: "the first step of beams", R: 6, V: 1500, T: 8, position: 0, used: 3, options: beams },
    {
      name: "unforced first step",
      R: 6,
      V: 1500,
      T: 8,
      position: 0,
      used: 3,
      options: { ...beams, rules: free },
    },
    { name: "the last step", R: 2, V: 1500, T: 100, position: 99, used: 9, options },
    {
      name: "every rule",
      R: 4,
      V: 300,
      T: 100,
      position: 70,
      used: 40,
      options: { ...beams, best: 4, width: 2, rules: { ...usual, ngram: 2, penalty: 1.3, minimum: 80 } },
    },
    {
      name: "several end tokens, too few tokens yet",
      R: 4,
      V: 700,
      T: 100,
      position: 7,
      used: 40,
      ends: [2, 5, 600, 3],
      options: { ...beams, best: 10, width: 2, rules: { ...free, minimum: 9 } },
    },
    {
      name: "several end tokens, several forced",
      R: 2,
      V: 700,
      T: 100,
      position: 99,
      used: 40,
      ends: [2, 600, 3],
      options: { ...beams, best: 8, width: 2 },
    },
    {
      name: "nothing twice, more wanted than there is",
      R: 2,
      V: 30,
      T: 40,
      position: 25,
      used: 30,
      options: { ...options, best: 30, rules: { ...free, ngram: 1 } },
    },
    {
      name: "draws",
      R: 4,
      V: 3000,
      T: 8,
      position: 5,
      used: 300,
      options: { ...beams, best: 4, width: 2, noise: { seed: 2 ** 40 + 12345, rowsPerImage: 2 } },
    },
  ] as {
    name: string;
    R: number;
    V: number;
    T: number;
    position: number;
    used: number;
    /** Also forced where the last token is. */
    ends?: readonly number[];
    options: RankTokensOptions;
  }[],
  inputs: ({ R, V, T, position, used, ends = [2] }, random) => {
    const slices = ceilDiv(V, SLICE);
    const tokens = random.integers(used, T, R).data;
    const scores = random.normal(T, R).data;
    const trace = new Uint32Array(T * R * TRACE_ROW);
    for (const [i, token] of tokens.entries())
      writeTraceRow(trace, i, { ...EMPTY_ROW, token, score: scores[i]! });
    return {
      scores: random.normal(R, V),
      sums: {
        shape: [R, slices, 4],
        data: random.normal(R, slices, 4).data.map((x, i) => (i % 4 === 1 ? 100 + x : x)),
      },
      trace: { shape: [T, R, TRACE_ROW], data: trace },
      ancestry: random.integers(R, R, T),
      position: { shape: [1], data: Uint32Array.of(position) },
      endTokens: { shape: [ends.length], data: Uint32Array.from(ends) },
      forcedLast: { shape: [ends.length], data: Uint32Array.from(ends) },
    };
  },
  record: (rec, { scores, sums, trace, ancestry, position, endTokens, forcedLast }, testCase) => {
    const soFar = {
      trace: trace!,
      ancestry: ancestry!,
      position: position!,
      endTokens: endTokens!,
      forcedLast: forcedLast!,
    };
    return { candidates: rankTokens(rec, scores!, sums!, soFar, testCase.options), scores: scores! };
  },
  work: ({ R, V }) => ({ bytes: 4 * 2 * R * V, operations: 4 * R * V }),
  // Also of the bits of a candidate's floats, where it is a thousandth; tokens have to be equal.
  tolerance: 1e-5,
});
