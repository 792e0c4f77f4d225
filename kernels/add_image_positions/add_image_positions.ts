import { Florence2Error } from "../../core/errors.ts";
import { ceilDiv, defineKernel, linearGroups, read, update } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { wgsl } from "../../core/shaders.ts";
import { columnsOf, expectShape, rowsOf, type Tensor } from "../../core/tensor.ts";
import { addImagePositionsTwin } from "./add_image_positions.twin.ts";

/** Channels of a workgroup, as in the shader. */
const CHANNELS = 16;

export const signature = {
  name: "add_image_positions",
  bindings: { x: read, row_embeddings: read, column_embeddings: read, temporal: read, out: update },
  params: { height: "u32", width: "u32", out_row: "u32", mean_row: "u32" },
  constants: { C: "u32", HAS_MEAN: "u32" },
} as const;

export const addImagePositionsKernel = defineKernel({
  ...signature,
  variants: [
    {
      label: "portable",
      source: wgsl("kernels/add_image_positions/add_image_positions.wgsl"),
      includes: [wgsl("kernels/shared/grid.wgsl")],
      groups: (_, { C }) => linearGroups(ceilDiv(C, CHANNELS)),
    },
  ],
  twin: addImagePositionsTwin,
});

/** Learned tables of a position each, and the constant row for the one frame of a still image. */
interface ImagePositions {
  /** (P, floor(C / 2)) */
  readonly rowEmbeddings: Tensor;
  /** (P, ceil(C / 2)) */
  readonly columnEmbeddings: Tensor;
  /** (C) */
  readonly temporal: Tensor;
}

/** Where the tokens of a feature map of height x width go: rows from outRow on, and their mean to meanRow, if given. */
interface TokenPlaces {
  readonly height: number;
  readonly width: number;
  readonly out: Tensor;
  readonly outRow: number;
  readonly meanRow?: number | undefined;
}

/**
 * out[outRow + hW + w] = x[hW + w] + [columnEmbeddings[w], rowEmbeddings[h]] + temporal for the feature
 * map x (HW, C): where in the image a token lies, column first. `image_pos_embed` and
 * `visual_temporal_embed` of Microsoft's module; the mean is its `spatial_avg_pool`. Other rows of `out` stay
 * as they are.
 *
 * @throws {Florence2Error} `shape_mismatch`, `image_too_large`
 */
export function addImagePositions(
  rec: Recording,
  x: Tensor,
  { rowEmbeddings, columnEmbeddings, temporal }: ImagePositions,
  { height, width, out, outRow, meanRow }: TokenPlaces,
): void {
  const C = columnsOf(x);
  const positions = rowEmbeddings.shape[0] ?? 0;
  expectShape(x, [height * width, C], "add_image_positions x");
  expectShape(rowEmbeddings, [positions, Math.floor(C / 2)], "add_image_positions rowEmbeddings");
  expectShape(columnEmbeddings, [positions, Math.ceil(C / 2)], "add_image_positions columnEmbeddings");
  expectShape(temporal, [C], "add_image_positions temporal");
  expectShape(out, [rowsOf(out), C], "add_image_positions out");
  if (height > positions || width > positions) {
    throw new Florence2Error(
      "image_too_large",
      `a feature map of ${width} x ${height} has no positions: the tables have ${positions} rows`,
      { height, width, positions },
    );
  }
  const end = outRow + height * width;
  if (
    end > rowsOf(out) ||
    (meanRow !== undefined && (meanRow >= rowsOf(out) || (meanRow >= outRow && meanRow < end)))
  ) {
    throw new Florence2Error(
      "shape_mismatch",
      `add_image_positions: rows ${outRow} to ${end} and a mean in row ${meanRow} do not fit out [${out.shape}]`,
    );
  }
  rec.dispatch(
    addImagePositionsKernel,
    { x, row_embeddings: rowEmbeddings, column_embeddings: columnEmbeddings, temporal, out },
    { height, width, out_row: outRow, mean_row: meanRow ?? 0 },
    { C, HAS_MEAN: meanRow === undefined ? 0 : 1 },
  );
}
