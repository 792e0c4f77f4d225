import { ceilDiv, defineKernel, linearGroups, read, readU32, update, writeU32 } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { wgsl } from "../../core/shaders.ts";
import { columnsOf, elementsOf, expectShape, rowsOf, type Tensor } from "../../core/tensor.ts";
import { CANDIDATE, TRACE_ROW } from "../shared/search_trace.ts";
import { SLICE } from "../shared/vocabulary.ts";
import { rankTokensTwin } from "./rank_tokens.twin.ts";

export const signature = {
  name: "rank_tokens",
  bindings: {
    scores: update,
    sums: read,
    trace: readU32,
    ancestry: readU32,
    position: readU32,
    end_tokens: readU32,
    forced_last: readU32,
    candidates: writeU32,
  },
  params: {
    rows: "u32",
    columns: "u32",
    width: "u32",
    rows_per_image: "u32",
    capacity: "u32",
    best: "u32",
    normalize: "u32",
    start_token: "u32",
    end_count: "u32",
    ngram: "u32",
    penalty: "f32",
    minimum: "u32",
    maximum: "u32",
    forced_first: "u32",
    forced_count: "u32",
    noise: "u32",
    seed_low: "u32",
    seed_high: "u32",
  },
  constants: {},
} as const;

export const rankTokensKernel = defineKernel({
  ...signature,
  variants: [
    {
      label: "portable",
      source: wgsl("kernels/rank_tokens/rank_tokens.wgsl"),
      includes: [
        wgsl("kernels/shared/grid.wgsl"),
        wgsl("kernels/shared/vocabulary.wgsl"),
        wgsl("kernels/shared/reduce.wgsl"),
        wgsl("kernels/shared/best_of_lanes.wgsl"),
        wgsl("kernels/shared/log_normalizer.wgsl"),
        wgsl("kernels/shared/search_trace.wgsl"),
        wgsl("kernels/rank_tokens/gumbel.wgsl"),
        wgsl("kernels/rank_tokens/rules.wgsl"),
      ],
      groups: ({ rows, columns }) => linearGroups(rows * ceilDiv(columns, SLICE)),
    },
  ],
  twin: rankTokensTwin,
});

/** How tokens of one search are chosen; the meanings are those of `transformers.GenerationConfig`. */
interface TokenRules {
  /** No run of this many tokens occurs twice; 0 for no such rule. */
  readonly ngram: number;
  /** Divides positive and multiplies negative scores of tokens already in the answer. */
  readonly penalty: number;
  /** The number of new tokens before an end token may come, and at which the answer ends. */
  readonly minimum: number;
  readonly maximum: number;
  readonly forcedFirst: number | null;
  /** Whether the last of `maximum` tokens is one of `forcedLast`. */
  readonly forcesLast: boolean;
}

export interface RankTokensOptions {
  /** How many candidates are wanted of each slice. */
  readonly best: number;
  /** Rows that compete with each other; where there are several, by what a token adds to their beam's sum. */
  readonly width: number;
  readonly startToken: number;
  /** Whether scores are made log-probabilities first. */
  readonly normalize: boolean;
  readonly rules: TokenRules;
  /** Adds Gumbel noise to what candidates are ranked by, which draws them; numbered by row of an image. */
  readonly noise?: { readonly seed: number; readonly rowsPerImage: number };
}

/** Where a search stands, see `SearchState`, and its lists of tokens. */
interface SearchSoFar {
  readonly trace: Tensor;
  readonly ancestry: Tensor;
  readonly position: Tensor;
  /** u32 (E): tokens that end an answer. */
  readonly endTokens: Tensor;
  /** u32 (F): the tokens that may come last where the last one is forced. */
  readonly forcedLast: Tensor;
}

/** For scores that went through the rules before. */
export const NO_RULES: TokenRules = {
  ngram: 0,
  penalty: 1,
  minimum: 0,
  maximum: 0,
  forcedFirst: null,
  forcesLast: false,
};

const NO_TOKEN = 0xffff_ffff;

/**
 * Scores what may come next: log-softmax (if asked for), then the rules of generation in the order of
 * `transformers.GenerationMixin._get_logits_processor`; and ranks it, equal keys by row and then by token.
 *
 * @param scores (R, V), replaced by the scores after the rules; `LOWEST` for what is banned
 * @param sums (R, slices, 4) of `logSumExp`; read only to normalise
 * @returns u32 (R, slices, best, 4): of each slice the best candidates in descending order
 * @throws {Florence2Error} `shape_mismatch`
 */
export function rankTokens(
  rec: Recording,
  scores: Tensor,
  sums: Tensor,
  { trace, ancestry, position, endTokens, forcedLast }: SearchSoFar,
  options: RankTokensOptions,
): Tensor {
  const { best, width, startToken, normalize, rules, noise } = options;
  const [rows, columns] = [rowsOf(scores), columnsOf(scores)];
  const slices = ceilDiv(columns, SLICE);
  const [, capacity = 0] = ancestry.shape;
  expectShape(sums, [rows, slices, 4], "rank_tokens sums");
  expectShape(ancestry, [rows, capacity], "rank_tokens ancestry");
  expectShape(trace, [capacity, rows, TRACE_ROW], "rank_tokens trace");
  const candidates = rec.temp([rows, slices, best, CANDIDATE], "u32");
  const params = {
    rows,
    columns,
    width,
    capacity,
    best,
    start_token: startToken,
    end_count: elementsOf(endTokens.shape),
    normalize: normalize ? 1 : 0,
    ngram: rules.ngram,
    penalty: rules.penalty,
    minimum: rules.minimum,
    maximum: rules.maximum,
    forced_first: rules.forcedFirst ?? NO_TOKEN,
    forced_count: rules.forcesLast ? elementsOf(forcedLast.shape) : 0,
    noise: noise ? 1 : 0,
    rows_per_image: noise?.rowsPerImage ?? 1,
    seed_low: (noise?.seed ?? 0) % 2 ** 32,
    seed_high: Math.floor((noise?.seed ?? 0) / 2 ** 32),
  };
  const lists = { end_tokens: endTokens, forced_last: forcedLast };
  rec.dispatch(
    rankTokensKernel,
    { scores, sums, trace, ancestry, position, ...lists, candidates },
    params,
    {},
  );
  return candidates;
}
