import { defineKernel, linearGroups, read, readU32, updateU32 } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { wgsl } from "../../core/shaders.ts";
import { columnsOf, expectShape, rowsOf, type Tensor } from "../../core/tensor.ts";
import { TRACE_ROW } from "../shared/search_trace.ts";
import { locationMassTwin } from "./location_mass.twin.ts";

export const signature = {
  name: "location_mass",
  bindings: { scores: read, sums: read, position: readU32, trace: updateU32 },
  params: { rows: "u32", columns: "u32", slices: "u32", first_location: "u32", normalize: "u32" },
  constants: {},
} as const;

export const locationMassKernel = defineKernel({
  ...signature,
  variants: [
    {
      label: "portable",
      source: wgsl("kernels/location_mass/location_mass.wgsl"),
      includes: [
        wgsl("kernels/shared/grid.wgsl"),
        wgsl("kernels/shared/vocabulary.wgsl"),
        wgsl("kernels/shared/reduce.wgsl"),
        wgsl("kernels/shared/best_of_lanes.wgsl"),
        wgsl("kernels/shared/log_normalizer.wgsl"),
        wgsl("kernels/shared/search_trace.wgsl"),
      ],
      groups: ({ rows }) => linearGroups(rows),
    },
  ],
  twin: locationMassTwin,
});

/**
 * How sure a search is of the locations that its last step chose. A location's probability is spread over its
 * neighbours: this adds up what lies within 0, 1, 2, 4, ... bins of the chosen one (`radii` in shared/locations.ts).
 * Rows of the trace whose token is no location are left as they are.
 *
 * @param scores (R, V) that the step chose from: log-probabilities, or logits
 * @param sums (R, slices, 4) of `logSumExp` over logits; read only to normalise
 * @param trace u32 (T, R, words) with the rows that the step wrote, which get their masses: see `TraceRow`
 * @param position u32 (1): steps that were taken
 * @param options.firstLocation token of <loc_0>
 * @param options.normalize whether the scores are logits
 */
export function locationMass(
  rec: Recording,
  scores: Tensor,
  sums: Tensor,
  { trace, position }: { readonly trace: Tensor; readonly position: Tensor },
  { firstLocation, normalize }: { readonly firstLocation: number; readonly normalize: boolean },
): void {
  const [rows, columns] = [rowsOf(scores), columnsOf(scores)];
  const [capacity = 0] = trace.shape;
  const [, slices = 0] = sums.shape;
  expectShape(sums, [rows, slices, 4], "location_mass sums");
  expectShape(trace, [capacity, rows, TRACE_ROW], "location_mass trace");
  expectShape(position, [1], "location_mass position");
  const params = { rows, columns, slices, first_location: firstLocation, normalize: normalize ? 1 : 0 };
  rec.dispatch(locationMassKernel, { scores, sums, position, trace }, params, {});
}
