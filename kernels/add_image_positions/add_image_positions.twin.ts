import type { Twin } from "../../core/kernel.ts";
import type { signature } from "./add_image_positions.ts";
export const addImagePositionsTwin: Twin<typeof signature> = (
  { x, row_embeddings, column_embeddings, temporal, out },
  { height, width, out_row, mean_row },
  { C, HAS_MEAN },
) => {
  const rowC = Math.floor(C / 2);
  const columnC = C - rowC;
  for (let c = 0; c < C; c++) {
    let sum = 0;
    for (let h = 0; h < height; h++) {
      for (let w = 0; w < width; w++) {
        const position =
          c < columnC ? column_embeddings[w * columnC + c]! : row_embeddings[h * rowC + c - columnC]!;
        const i = (h * width + w) * C + c;
        out[out_row * C + i] = x[i]! + position + temporal[c]!;
        sum += out[out_row * C + i]!;
      }
    }
    if (HAS_MEAN) out[mean_row * C + c] = sum / (height * width);
  }
};
