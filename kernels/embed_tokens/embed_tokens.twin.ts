import type { Twin } from "../../core/kernel.ts";
import type { signature } from "./embed_tokens.ts";

export const embedTokensTwin: Twin<typeof signature> = (
  { ids, table, positions, position, out },
  { count, d, band_start, band_rows, first_position, advance, out_row },
) => {
  for (let i = 0; i < count; i++) {
    const row = ids[i]! - band_start;
    if (row < 0 || row >= band_rows) continue;
    const place = first_position + position[0]! + i * advance;
    const word = table.values(row * d, d);
    for (let c = 0; c < d; c++) out[(out_row + i) * d + c] = word[c]! + positions[place * d + c]!;
  }
};
