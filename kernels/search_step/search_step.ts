import { ceilDiv, defineKernel, linearGroups, read, readU32, updateU32 } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { wgsl } from "../../core/shaders.ts";
import { expectShape, type Tensor } from "../../core/tensor.ts";
import { CANDIDATE, TRACE_ROW } from "../shared/search_trace.ts";
import { searchStepTwin } from "./search_step.twin.ts";

export const signature = {
  name: "search_step",
  bindings: {
    candidates: readU32,
    sums: read,
    lengths: read,
    positions: updateU32,
    trace: updateU32,
    tokens: updateU32,
    ancestry: updateU32,
    running: updateU32,
  },
  params: {
    rows: "u32",
    width: "u32",
    slices: "u32",
    best: "u32",
    capacity: "u32",
    maximum: "u32",
    stop_early: "u32",
    bound: "u32",
  },
  constants: {},
} as const;

export const searchStepKernel = defineKernel({
  ...signature,
  variants: [
    {
      label: "portable",
      source: wgsl("kernels/search_step/search_step.wgsl"),
      includes: [
        wgsl("kernels/shared/grid.wgsl"),
        wgsl("kernels/shared/vocabulary.wgsl"),
        wgsl("kernels/shared/reduce.wgsl"),
        wgsl("kernels/shared/best_of_lanes.wgsl"),
        wgsl("kernels/shared/log_normalizer.wgsl"),
        wgsl("kernels/shared/search_trace.wgsl"),
        wgsl("kernels/search_step/search_step.candidates.wgsl"),
      ],
      groups: ({ rows, width }) => linearGroups(ceilDiv(rows, width)),
    },
  ],
  twin: searchStepTwin,
});

/** The state of a search from step to step. S searches of R / S rows each, T steps of capacity. */
export interface SearchState {
  /** u32 (S), all alike: how many tokens each search has chosen. */
  readonly positions: Tensor;
  /** u32 (T, R, words): see `TraceRow`. */
  readonly trace: Tensor;
  /** u32 (R): the newest token of each row. */
  readonly tokens: Tensor;
  /** u32 (R, T): the row that was fed each token of this row's answer. */
  readonly ancestry: Tensor;
  /** u32 (1): searches that are not done. */
  readonly running: Tensor;
  /** (tokens + 1): by what sums of log-probabilities are divided, by number of new tokens. */
  readonly lengths: Tensor;
}

export interface SearchStepOptions {
  /** The number of new tokens at which an answer ends. */
  readonly maximum: number;
  /**
   * When a search with as many ended answers as beams is done: `true` at once; else when the best beam,
   * its score divided by that of its length, or of the longest, falls behind them.
   */
  readonly stop: true | "at length so far" | "at most";
}

/**
 * One step of greedy or beam search with the outcome of `transformers.GenerationMixin._beam_search` from
 * 4.50 on, which always computes all beams and pushes what is ruled out down by 1e9; here it is not there
 * at all. Ties go to the lower row, then to the lower token. A search whose logits were not finite is done.
 *
 * @param candidates u32 (R, slices, best, 4) of `rankTokens`. Where there are several beams, `best` is the number of
 *   beams times one more than that of end tokens, because each may end in all ways; 64 at most. Their scores are log-probabilities there, and
 *   scores that `sums` make log-probabilities where a search has one row
 * @param sums (R, slices, 4) of `logSumExp`
 * @throws {Florence2Error} `shape_mismatch`
 */
export function searchStep(
  rec: Recording,
  candidates: Tensor,
  sums: Tensor,
  state: SearchState,
  { maximum, stop }: SearchStepOptions,
): void {
  const [rows = 0, slices = 0, best = 0] = candidates.shape;
  const [searches = 0] = state.positions.shape;
  const [, capacity = 0] = state.ancestry.shape;
  expectShape(candidates, [rows, slices, best, CANDIDATE], "search_step candidates");
  expectShape(sums, [rows, slices, 4], "search_step sums");
  expectShape(state.trace, [capacity, rows, TRACE_ROW], "search_step trace");
  expectShape(state.tokens, [rows], "search_step tokens");
  expectShape(state.ancestry, [rows, capacity], "search_step ancestry");
  expectShape(state.running, [1], "search_step running");
  expectShape(state.lengths, [maximum + 1], "search_step lengths");
  const params = {
    rows,
    width: rows / searches,
    slices,
    best,
    capacity,
    maximum,
    stop_early: stop === true ? 1 : 0,
    bound: stop === "at most" ? maximum : 0,
  };
  rec.dispatch(searchStepKernel, { candidates, sums, ...state }, params, {});
}
