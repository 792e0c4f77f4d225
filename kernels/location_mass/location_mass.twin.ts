import type { Twin } from "../../core/kernel.ts";
import { LOCATIONS, RADII, radiusOf } from "../shared/locations.ts";
import { logNormalizer } from "../shared/log_normalizer.ts";
import { readTraceRow, writeTraceRow } from "../shared/search_trace.ts";
import type { signature } from "./location_mass.ts";

export const locationMassTwin: Twin<typeof signature> = (
  { scores, sums, position, trace },
  { rows, columns, slices, first_location: first, normalize },
) => {
  const step = position[0]! - 1;
  for (let r = 0; r < rows; r++) {
    const place = step * rows + r;
    const row = readTraceRow(trace, place);
    const { token, parent } = row;
    if (token < first || token >= first + LOCATIONS) continue;
    const { largest, logSum } = normalize ? logNormalizer(sums, parent, slices) : { largest: 0, logSum: 0 };
    const rings = new Float64Array(RADII);
    for (let k = 0; k < LOCATIONS; k++) {
      const score = scores[parent * columns + first + k]!;
      rings[radiusOf(Math.abs(first + k - token))]! += Math.exp(score - largest - logSum);
    }
    let mass = 0;
    const masses = Array.from(rings, (ring) => {
      mass += ring;
      return mass;
    });
    writeTraceRow(trace, place, { ...row, masses });
  }
};
