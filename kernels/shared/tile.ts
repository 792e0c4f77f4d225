import { ceilDiv, linearGroups } from "../../core/kernel.ts";
import { OVER_LANES, OVER_SUBGROUPS } from "./over_lanes.ts";

/** One for each multiprocessor of a large GPU. */
export const ENOUGH_WORKGROUPS = 128;

/** A shader that brings rows and weights into workgroup memory for the tiles of a product. */
interface Staging<Params> {
  readonly source: URL;
  readonly includes: readonly URL[];
  /** The rows and columns of the product that a call amounts to. */
  readonly productOf: (params: Params) => { readonly M: number; readonly N: number };
}

const include = (name: string) => new URL(`./${name}.wgsl`, import.meta.url);

/** How many tiles, of a workgroup each, cover a product. */
export const tilesOf = (M: number, rows: number, N: number, columns: number) =>
  ceilDiv(M, rows) * ceilDiv(N, columns);

/** The rest of a variant whose tiles are added up by what lanes multiply themselves. */
export const tileByLanes = (includes: readonly URL[]) => ({
  includes: [...includes, OVER_LANES, include("tile.lanes")],
});

/** The rest of a variant whose tiles are added up by matrix units: for weights that have no more than half precision. */
export const tileByMatrices = (includes: readonly URL[]) => ({
  includes: [...includes, OVER_SUBGROUPS, include("tile.matrices")],
  needs: ["matrices"] as const,
  weights: ["f16", "q8", "q4"] as const,
});

/**
 * Products of matrices by square tiles that pass through workgroup memory (see matmul.tile.wgsl), by matrix units
 * where there are any. Real GPUs could not be measured: there, a tile is as large as leaves enough workgroups for a
 * large one.
 */
export function tileVariants<Params>({ source, includes, productOf }: Staging<Params>) {
  const countOf = (params: Params, side: number) => {
    const { M, N } = productOf(params);
    return tilesOf(M, side, N, side);
  };
  const byTile = (side: number) => ({
    label: `tile ${side}`,
    source,
    ...tileByLanes(includes),
    tile: { TILE: side },
    groups: (params: Params) => linearGroups(countOf(params, side)),
  });
  const byMatrices = (side: number) => ({
    ...byTile(side),
    label: `matrices ${side}`,
    ...tileByMatrices(includes),
  });
  const suits = (side: number) => (params: Params) => countOf(params, side) >= ENOUGH_WORKGROUPS;
  return [
    { ...byMatrices(128), suits: suits(128) },
    byMatrices(64),
    { ...byTile(64), suits: suits(64) },
    byTile(32),
  ];
}
