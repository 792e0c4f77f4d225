import { kernelCases } from "../../core/kernel_cases.ts";
import { appendCache, appendCacheKernel } from "./append_cache.ts";

export default kernelCases(appendCacheKernel, {
  cases: [
    { name: "values of base, 3 beams", T: 64, R: 3, d: 768, firstColumn: 1536, columns: 2304 },
    { name: "ragged", T: 5, R: 2, d: 7, firstColumn: 3, columns: 11 },
  ],
  inputs: ({ T, R, d, columns }, random) => ({
    x: random.normal(R, columns),
    cache: random.normal(T, R, d),
    position: random.integers(T, 1),
  }),
  record: (rec, { x, cache, position }, { firstColumn }) => {
    appendCache(rec, x!, firstColumn, cache!, position!);
    return { cache: cache! };
  },
  work: ({ R, d }) => ({ bytes: 4 * 2 * R * d, operations: 0 }),
  tolerance: 0,
});
