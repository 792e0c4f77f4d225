import { Florence2Error } from "../../core/errors.ts";
import { ceilDiv, defineKernel, linearGroups, read, update } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { columnsOf, expectShape, rowsOf, type Tensor } from "../../core/tensor.ts";
import { matmulTwin } from "./matmul.twin.ts";

/** Up to this many rows of x, a tile would be mostly empty. */
const FEW_ROWS = 16;

const includes = [
  new URL("../shared/grid.wgsl", import.meta.url),
  new URL("../shared/gelu.wgsl", import.meta.url),
];

/** Whether tiles pay, and rows of x and of the weights are whole vectors of four. */
const fitsTiles = ({ M, K }: { readonly M: number; readonly K: number }) => M > FEW_ROWS && K % 4 === 0;

export const matmulKernel = defineKernel({
  name: "matmul",
  bindings: { x: read, weight: read, bias: read, residual: read, out: update },
  // All sizes are parameters: a model has dozens of them, and a pipeline each would take long to compile.
  params: { M: "u32", N: "u32", K: "u32", outColumns: "u32", outColumn: "u32" },
  constants: { HAS_BIAS: "u32", HAS_RESIDUAL: "u32", HAS_GELU: "u32" },
  variants: [
    {
      label: "tile",
      source: new URL("./matmul.tile.wgsl", import.meta.url),
      includes,
      when: fitsTiles,
      groups: ({ M, N }) => linearGroups(ceilDiv(M, 64) * ceilDiv(N, 64)),
    },
    {
      // Four times as fast as tiles on lavapipe, where workgroup memory costs as much as any other.
      label: "subgroups",
      source: new URL("./matmul.subgroups.wgsl", import.meta.url),
      includes,
      needs: ["subgroups"],
      when: fitsTiles,
      groups: ({ M, N }) => linearGroups(ceilDiv(M, 16) * ceilDiv(N, 128)),
    },
    {
      label: "rows",
      source: new URL("./matmul.rows.wgsl", import.meta.url),
      includes,
      groups: ({ M, N }) => linearGroups(ceilDiv(M, 4) * ceilDiv(N, 4)),
    },
  ],
  twin: matmulTwin,
});

export interface MatmulOptions {
  /** (N). */
  readonly bias?: Tensor;
  readonly activation?: "none" | "gelu";
  /** Of the shape of out. */
  readonly residual?: Tensor;
  /** (M, at least outColumn + N): where the result goes. Default: a new (M, N). */
  readonly out?: Tensor;
  /** The first column of out that is written. Default 0. */
  readonly outColumn?: number;
}

/**
 * out = activation(x·Wᵀ + bias) + residual: a linear layer and what rides on it. x (..., K) has M rows,
 * weight is (N, K) as stored.
 */
export function matmul(rec: Recording, x: Tensor, weight: Tensor, options: MatmulOptions = {}): Tensor {
  const { bias, activation = "none", residual, outColumn = 0 } = options;
  const [M, K] = [rowsOf(x), columnsOf(x)];
  const N = weight.shape[0]!;
  expectShape(weight, [N, K], "matmul weight");
  if (bias) expectShape(bias, [N], "matmul bias");
  const out = options.out ?? rec.temp([...x.shape.slice(0, -1), N]);
  const outColumns = columnsOf(out);
  if (rowsOf(out) !== M || outColumn + N > outColumns) {
    throw new Florence2Error(
      "shape_mismatch",
      `matmul: ${M} rows of columns ${outColumn} to ${outColumn + N} do not fit into out [${out.shape}]`,
    );
  }
  if (residual) expectShape(residual, out.shape, "matmul residual");
  rec.dispatch(
    matmulKernel,
    // What is absent is bound to something that is there, and not read.
    { x, weight, bias: bias ?? weight, residual: residual ?? x, out },
    { M, N, K, outColumns, outColumn },
    { HAS_BIAS: bias ? 1 : 0, HAS_RESIDUAL: residual ? 1 : 0, HAS_GELU: activation === "gelu" ? 1 : 0 },
  );
  return out;
}
