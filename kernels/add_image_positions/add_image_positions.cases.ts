import { kernelCases } from "../shared/kernel_cases.ts";
import { addImagePositions, addImagePositionsKernel } from "./add_image_positions.ts";

export default kernelCases(addImagePositionsKernel, {
  cases: [
    { name: "base", height: 24, width: 24, C: 1024, positions: 50, outRow: 1, meanRow: 0 },
    { name: "large", height: 24, width: 24, C: 2048, positions: 50, outRow: 1, meanRow: 0 },
    { name: "oblong map, odd channels", height: 3, width: 7, C: 33, positions: 9, outRow: 2, meanRow: 24 },
    { name: "all positions, no mean", height: 5, width: 5, C: 6, positions: 5, outRow: 2 },
    { name: "one token, one channel pair", height: 1, width: 1, C: 2, positions: 1, outRow: 1, meanRow: 0 },
  ] as {
    name: string;
    height: number;
    width: number;
    C: number;
    positions: number;
    outRow: number;
    meanRow?: number;
  }[],
  inputs: ({ height, width, C, positions, outRow }, random) => ({
    x: random.normal(height * width, C),
    rowEmbeddings: random.normal(positions, Math.floor(C / 2)),
    columnEmbeddings: random.normal(positions, Math.ceil(C / 2)),
    temporal: random.normal(C),
    out: random.normal(outRow + height * width + 2, C),
  }),
  record: (
    rec,
    { x, rowEmbeddings, columnEmbeddings, temporal, out },
    { height, width, outRow, meanRow },
  ) => {
    addImagePositions(
      rec,
      x!,
      { rowEmbeddings: rowEmbeddings!, columnEmbeddings: columnEmbeddings!, temporal: temporal! },
      { height, width, out: out!, outRow, meanRow },
    );
    return { out: out! };
  },
  work: ({ height, width, C }) => ({
    bytes: 4 * (2 * height * width * C + ((height + width) * C) / 2 + C),
    operations: 3 * height * width * C,
  }),
  tolerance: 1e-6,
});
