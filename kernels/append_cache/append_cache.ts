import { ceilDiv, defineKernel, linearGroups, read, readU32, update } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { columnsOf, rowsOf, type Tensor } from "../../core/tensor.ts";
import { appendCacheTwin } from "./append_cache.twin.ts";

export const appendCacheKernel = defineKernel({
  name: "append_cache",
  bindings: { x: read, position: readU32, cache: update },
  params: { rows: "u32", columns: "u32", firstColumn: "u32", d: "u32" },
  constants: {},
  variants: [
    {
      label: "portable",
      source: new URL("./append_cache.wgsl", import.meta.url),
      includes: [new URL("../shared/grid.wgsl", import.meta.url)],
      groups: ({ rows, d }) => linearGroups(ceilDiv(rows * d, 64)),
    },
  ],
  twin: appendCacheTwin,
});

/**
 * cache[position, r] = columns firstColumn to firstColumn + d of x[r]: keeps the keys or values of this
 * decoding step. x (R, columns), cache (T, R, d), position u32 (1) below T.
 */
export function appendCache(
  rec: Recording,
  x: Tensor,
  firstColumn: number,
  cache: Tensor,
  position: Tensor,
): void {
  const params = { rows: rowsOf(x), columns: columnsOf(x), firstColumn, d: columnsOf(cache) };
  rec.dispatch(appendCacheKernel, { x, position, cache }, params, {});
}
