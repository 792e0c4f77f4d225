import { OVER_SUBGROUPS } from "./over_lanes.ts";

const include = (name: string) => new URL(`./${name}.wgsl`, import.meta.url);

/** Of a workgroup, as in the shader. */
export const SIXTEEN_ROWS = 16;

/** Weights that are read for such products. */
export const WEIGHTS_OF_COLUMNS = include("weights_of_columns");
/** Norms that ride on such products, beside the file of their statistics. */
export const NORM_OF_SUBGROUPS = include("norm_of_subgroups");

/**
 * The rest of a variant for software devices: a lane adds up 16 rows by four columns. Workgroup memory costs as much as
 * any other there, and every element that is read a dozen instructions: on lavapipe products are three to four times
 * as fast as by tiles. Twice as many rows or half as many columns were no faster.
 */
export const bySixteenRows = (includes: readonly URL[]) => ({
  label: "subgroups",
  includes: [...includes, OVER_SUBGROUPS, include("sixteen_rows")],
  needs: ["software", "subgroups"] as const,
});

/** The same for attention, of heads that subgroups of eight share evenly, and workgroup memory has room for. */
export const bySixteenQueries = (includes: readonly URL[]) => ({
  ...bySixteenRows([...includes, include("sixteen_queries")]),
  when: (_: unknown, { D }: { readonly D: number }) => D % 32 === 0 && D <= 128,
});
