import { Florence2Error } from "../../core/errors.ts";
import { ceilDiv, defineKernel, linearGroups, read, readU32, update } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { columnsOf, expectShape, rowsOf, type Tensor } from "../../core/tensor.ts";
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
  const [T = 0, R = 0, d = 0] = cache.shape;
  expectShape(cache, [T, R, d], "append_cache cache");
  expectShape(position, [1], "append_cache position");
  if (rowsOf(x) !== R || firstColumn + d > columnsOf(x)) {
    throw new Florence2Error(
      "shape_mismatch",
      `append_cache: x [${x.shape}] has no ${R} rows of columns ${firstColumn} to ${firstColumn + d}`,
    );
  }
  const params = { rows: R, columns: columnsOf(x), firstColumn, d };
  rec.dispatch(appendCacheKernel, { x, position, cache }, params, {});
}
