import { defineKernel, linearGroups, update } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { wgsl } from "../../core/shaders.ts";
import { columnsOf, rowsOf, type Tensor } from "../../core/tensor.ts";
import { samplingFilterTwin } from "./sampling_filter.twin.ts";

export const signature = {
  name: "sampling_filter",
  bindings: { scores: update },
  params: {
    rows: "u32",
    columns: "u32",
    temperature: "f32",
    top_k: "u32",
    droppable: "f32",
    min_kept: "u32",
  },
  constants: {},
} as const;

export const samplingFilterKernel = defineKernel({
  ...signature,
  variants: [
    {
      label: "portable",
      source: wgsl("kernels/sampling_filter/sampling_filter.wgsl"),
      includes: [
        wgsl("kernels/shared/grid.wgsl"),
        wgsl("kernels/shared/vocabulary.wgsl"),
        wgsl("kernels/shared/reduce.wgsl"),
      ],
      groups: ({ rows }) => linearGroups(rows),
    },
  ],
  twin: samplingFilterTwin,
});

export interface Sampling {
  /** Divides the scores. */
  readonly temperature: number;
  /** Keeps so many of the highest, and what equals the lowest of them; 0 for all. */
  readonly topK: number;
  /** Keeps the likeliest that together have this probability; 1 for all. */
  readonly topP: number;
  /** The fewest that are kept, against `topK` and `topP`. */
  readonly minKept: number;
}

/**
 * Narrows scores (R, V), in place, to what sampling draws from; `LOWEST` for what is dropped. The order and
 * the keep rules are those of `transformers.generation.logits_process`.
 */
export function samplingFilter(
  rec: Recording,
  scores: Tensor,
  { temperature, topK, topP, minKept }: Sampling,
): void {
  const columns = columnsOf(scores);
  const params = {
    rows: rowsOf(scores),
    columns,
    temperature,
    top_k: topK > 0 ? Math.min(Math.max(topK, minKept), columns) : 0,
    droppable: 1 - topP,
    min_kept: minKept,
  };
  rec.dispatch(samplingFilterKernel, { scores }, params, {});
}
