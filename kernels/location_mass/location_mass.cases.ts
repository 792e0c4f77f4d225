import { ceilDiv } from "../../core/kernel.ts";
import { kernelCases } from "../shared/kernel_cases.ts";
import { LOCATIONS } from "../shared/locations.ts";
import { EMPTY_ROW, TRACE_ROW, writeTraceRow } from "../shared/search_trace.ts";
import { SLICE } from "../shared/vocabulary.ts";
import { locationMass, locationMassKernel } from "./location_mass.ts";

const STEPS = 3;

/** `chosen`: the locations that rows have taken, -1 for another token. */
export default kernelCases(locationMassKernel, {
  cases: [
    { name: "base, 3 beams", V: 51289, first: 50269, chosen: [400, 401, -1], normalize: false },
    { name: "the edges", V: 2100, first: 1100, chosen: [0, 999, 1, 998, 500, -1], normalize: true },
    {
      name: "large, 8 images of 5 beams",
      V: 51289,
      first: 50269,
      chosen: Array.from({ length: 40 }, (_, i) => 25 * i),
      normalize: true,
    },
  ],
  inputs: ({ V, first, chosen, normalize }, random) => {
    const [R, slices] = [chosen.length, ceilDiv(V, SLICE)];
    const parents = random.integers(R, R).data;
    const trace = new Uint32Array(STEPS * R * TRACE_ROW);
    for (const [r, location] of chosen.entries()) {
      const token = location < 0 ? (r % 2 === 0 ? first - 1 : first + LOCATIONS) : first + location;
      writeTraceRow(trace, R + r, { ...EMPTY_ROW, token, parent: parents[r]! });
    }
    const sums = random.normal(R, slices, 4).data.map((x, i) => [x, 100 + x, -1, 0][i % 4]!);
    return {
      // Those that are log-probabilities already are below 0.
      scores: normalize
        ? random.normal(R, V)
        : { shape: [R, V], data: random.normal(R, V).data.map((x) => -8 - Math.abs(x)) },
      sums: { shape: [R, slices, 4], data: sums },
      trace: { shape: [STEPS, R, TRACE_ROW], data: trace },
      position: { shape: [1], data: Uint32Array.of(2) },
    };
  },
  record: (rec, { scores, sums, trace, position }, { first, normalize }) => {
    const options = { firstLocation: first, normalize };
    locationMass(rec, scores!, sums!, { trace: trace!, position: position! }, options);
    return { trace: trace! };
  },
  work: ({ chosen }) => ({ bytes: 4 * chosen.length * LOCATIONS, operations: 3 * chosen.length * LOCATIONS }),
  // Also of the bits of the trace's floats, where it is a thousandth; whole numbers have to be equal.
  tolerance: 1e-5,
});
