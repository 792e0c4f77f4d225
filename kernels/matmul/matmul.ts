import { Florence2Error } from "../../core/errors.ts";
import { defineKernel, linearGroups, read, update } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { wgsl } from "../../core/shaders.ts";
import { columnsOf, expectShape, rowsOf, type Tensor } from "../../core/tensor.ts";
import { ACTIVATION, type Activation } from "../shared/activation.ts";
import { expectNormed, type Normed, unwrap } from "../shared/norm.ts";
import { tilesOf, tileVariants } from "../shared/tile.ts";
import { weights } from "../shared/weights.ts";
import { matmulTwin, NORM } from "./matmul.twin.ts";

/*
 * Variants, and their records in bench/results (tests/kernels/variants.test.ts):
 *   rows      up to 16 rows, as in decoding: a lane sums every 64th vector of 4 rows and 4 columns, so that each
 *             weight is read once for 4 rows. llvmpipe: 2.4, 4.7 and 7.0 times as fast as tile at 3 x 3072 x 768,
 *             3 x 5000 x 768 and 1 x 1024 x 4096; at 24 x 768 x 768 they are within 10 % of each other
 *   matrices  tiles of 64 x 64 by matrix units. Not measured on a device that has them, and so never taken unless
 *             asked for; `florence2 report` measures it there
 *   tile      any device and size: tiles of 32 x 32 through workgroup memory
 */

/** Up to this many rows of x, a tile would be mostly empty. */
const FEW_ROWS = 16;

const includes = [
  wgsl("kernels/shared/grid.wgsl"),
  wgsl("kernels/shared/activation.wgsl"),
  wgsl("kernels/shared/row_statistics.wgsl"),
  wgsl("kernels/matmul/matmul.store.wgsl"),
];

interface Size {
  readonly M: number;
  readonly N: number;
}

export const signature = {
  name: "matmul",
  bindings: {
    x: read,
    weight: weights,
    bias: read,
    residual: read,
    normed: read,
    norm_weight: read,
    norm_bias: read,
    out: update,
  },
  // All sizes are parameters: a model has dozens of them, and a pipeline each would take long to compile.
  params: {
    M: "u32",
    N: "u32",
    K: "u32",
    out_rows: "u32",
    out_columns: "u32",
    out_row: "u32",
    out_column: "u32",
  },
  constants: { HAS_BIAS: "u32", HAS_RESIDUAL: "u32", ACTIVATION: "u32", NORM: "u32" },
} as const;

export const matmulKernel = defineKernel({
  ...signature,
  variants: [
    {
      label: "rows",
      source: wgsl("kernels/matmul/matmul.rows.wgsl"),
      includes: [...includes, wgsl("kernels/shared/reduce.wgsl")],
      // Each four rows read all weights anew.
      supports: ({ M }) => M <= 4 * FEW_ROWS,
      preferredFor: ({ M }) => M <= FEW_ROWS,
      groups: ({ M, N }) => linearGroups(tilesOf(M, 4, N, 4)),
    },
    ...tileVariants({
      source: wgsl("kernels/matmul/matmul.tile.wgsl"),
      includes,
      productOf: ({ M, N }: Size) => ({ M, N }),
    }),
  ],
  twin: matmulTwin,
});

export interface MatmulOptions {
  /** (N). */
  readonly bias?: Tensor;
  /** Default "none". */
  readonly activation?: Activation;
  /** Of the shape of out. */
  readonly residual?: Tensor | Normed;
  /**
   * (rows, columns) or (blocks, rows, columns): where the result goes, columns beyond those of a block into the
   * next block. Default: a new (M, N).
   */
  readonly out?: Tensor;
  /** The first row and column of out that are written. Default 0. */
  readonly outRow?: number;
  readonly outColumn?: number;
}

/**
 * out = activation(x·Wᵀ + bias) + residual: a linear layer and what rides on it. x (..., K) has M rows,
 * weight is (N, K) as stored. Either x or a residual of N columns may be read through its layer norm.
 *
 * @throws {Florence2Error} `shape_mismatch`
 */
export function matmul(
  rec: Recording,
  x: Tensor | Normed,
  weight: Tensor,
  options: MatmulOptions = {},
): Tensor {
  const { bias, activation = "none", outRow = 0, outColumn = 0 } = options;
  const { rows, norm } = unwrap(x);
  const { rows: residual, norm: residualNorm } = options.residual ? unwrap(options.residual) : {};
  const [M, K] = [rowsOf(rows), columnsOf(rows)];
  const N = weight.shape[0]!;
  if (K % 4 !== 0) {
    throw new Florence2Error(
      "shape_mismatch",
      `matmul: x [${rows.shape}], expected a multiple of four columns`,
    );
  }
  expectShape(weight, [N, K], "matmul weight");
  if (bias) expectShape(bias, [N], "matmul bias");
  const out = options.out ?? rec.temp([...rows.shape.slice(0, -1), N]);
  const outColumns = columnsOf(out);
  const outRows = out.shape[out.shape.length - 2] ?? 1;
  const blocks = rowsOf(out) / outRows;
  if (outRow + M > outRows || outColumn + N > blocks * outColumns) {
    throw new Florence2Error(
      "shape_mismatch",
      `matmul: rows ${outRow} to ${outRow + M} of columns ${outColumn} to ${outColumn + N} do not fit into out [${out.shape}]`,
    );
  }
  if (residual) expectShape(residual, out.shape, "matmul residual");
  if (norm) expectNormed({ rows, norm }, "matmul x");
  if (residual && residualNorm) expectNormed({ rows: residual, norm: residualNorm }, "matmul residual");
  if (residualNorm && (norm || outColumns !== N || outRows !== M)) {
    throw new Florence2Error(
      "shape_mismatch",
      `matmul: a residual is normalised only beside an x that is not, and of the result's own shape [${M},${N}], not [${out.shape}]`,
    );
  }
  const normWeights = norm ?? residualNorm;
  rec.dispatch(
    matmulKernel,
    // An absent tensor is bound to another one, which is then not read.
    {
      x: rows,
      weight,
      bias: bias ?? rows,
      residual: residual ?? rows,
      normed: (residualNorm && residual) ?? rows,
      norm_weight: normWeights?.weight ?? rows,
      norm_bias: normWeights?.bias ?? rows,
      out,
    },
    { M, N, K, out_rows: outRows, out_columns: outColumns, out_row: outRow, out_column: outColumn },
    {
      HAS_BIAS: bias ? 1 : 0,
      HAS_RESIDUAL: residual ? 1 : 0,
      ACTIVATION: ACTIVATION[activation],
      NORM: norm ? NORM.ofX : residualNorm ? NORM.ofResidual : NORM.none,
    },
  );
  return out;
}
