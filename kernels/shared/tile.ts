import { ceilDiv, linearGroups } from "../../core/kernel.ts";
import { type Shader, wgsl } from "../../core/shaders.ts";

/** How many tiles, of a workgroup each, cover a product. */
export const tilesOf = (M: number, rows: number, N: number, columns: number) =>
  ceilDiv(M, rows) * ceilDiv(N, columns);

/** The rest of a variant whose lanes multiply and add by themselves, in f32. */
export const tileByLanes = (includes: readonly Shader[]) => ({
  includes: [...includes, wgsl("kernels/shared/reduce.wgsl"), wgsl("kernels/shared/tile.lanes.wgsl")],
});

/**
 * The rest of a variant by matrix units. Only f16, q8 and q4 weights: none is more precise than f16. Not measured on a
 * device that has them, and so never taken unless asked for (`variants` of a recording); `florence2 report` measures it
 * there, and a win of 10 % would make it the default.
 */
export const tileByMatrices = (includes: readonly Shader[]) => ({
  label: "matrices",
  includes: [...includes, wgsl("kernels/shared/reduce.wgsl"), wgsl("kernels/shared/tile.matrices.wgsl")],
  needs: ["f16", "subgroups", "matrices"] as const,
  weights: ["f16", "q8", "q4"] as const,
  preferredFor: () => false,
});

/** A shader that brings rows and weights into workgroup memory for the tiles of a product. */
interface Staging<Params> {
  readonly source: Shader;
  readonly includes: readonly Shader[];
  /** The rows and columns of the product that a call amounts to. */
  readonly productOf: (params: Params) => { readonly M: number; readonly N: number };
}

/** Products of matrices by square tiles that pass through workgroup memory: see matmul.tile.wgsl. */
export function tileVariants<Params>({ source, includes, productOf }: Staging<Params>) {
  const byTile = (side: number) => ({
    source,
    constants: { TILE: side },
    groups: (params: Params) => {
      const { M, N } = productOf(params);
      return linearGroups(tilesOf(M, side, N, side));
    },
  });
  return [
    { ...byTile(64), ...tileByMatrices(includes) },
    { ...byTile(32), ...tileByLanes(includes), label: "tile" },
  ];
}
