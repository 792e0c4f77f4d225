import type { Twin } from "../../core/kernel.ts";
import type { signature } from "./add_rows.ts";
export const addRowsTwin: Twin<typeof signature> = ({ x, table, out }, { count, first }) => {
  for (let i = 0; i < count; i++) out[i] = x[i]! + table[first + i]!;
};
