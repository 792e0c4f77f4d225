import { ceilDiv, linearGroups } from "../../core/kernel.ts";

const include = (name: string) => new URL(`./${name}.wgsl`, import.meta.url);

/** How many tiles, of a workgroup each, cover a product. */
export const tilesOf = (M: number, rows: number, N: number, columns: number) =>
  ceilDiv(M, rows) * ceilDiv(N, columns);

/** The rest of a variant whose tiles are added up by what lanes multiply themselves. */
export const tileByLanes = (includes: readonly URL[]) => ({
  includes: [...includes, include("reduce"), include("tile.lanes")],
});

/**
 * The rest of a variant whose tiles are added up by matrix units: for weights that are no more precise than f16. It
 * is taken only when asked for (`variants` of a recording): no report of a real GPU yet shows that it wins by 10 %.
 */
export const tileByMatrices = (includes: readonly URL[]) => ({
  label: "matrices",
  includes: [...includes, include("reduce"), include("tile.matrices")],
  needs: ["f16", "subgroups", "matrices"] as const,
  weights: ["f16", "q8", "q4"] as const,
  suits: () => false,
});

/** A shader that brings rows and weights into workgroup memory for the tiles of a product. */
interface Staging<Params> {
  readonly source: URL;
  readonly includes: readonly URL[];
  /** The rows and columns of the product that a call amounts to. */
  readonly productOf: (params: Params) => { readonly M: number; readonly N: number };
}

/** Products of matrices by square tiles that pass through workgroup memory: see matmul.tile.wgsl. */
export function tileVariants<Params>({ source, includes, productOf }: Staging<Params>) {
  const byTile = (side: number) => ({
    source,
    tile: { TILE: side },
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
