import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  boundsOf,
  boxOfMask,
  clipObjects,
  clockwise,
  decodeMask,
  encodeMask,
  joinRings,
  maskRows,
  polygonArea,
  rasterize,
  runsOf,
  signedArea,
  suppress,
  textToRuns,
  tilesOf,
} from "../../datasets/index.ts";

const fixture = (name: string) =>
  JSON.parse(readFileSync(new URL(`../fixtures/datasets/${name}`, import.meta.url), "utf8"));

describe("boxes and outlines", () => {
  it("clip to the image and drop what lies outside", () => {
    const image = {
      file: "a.png",
      width: 10,
      height: 20,
      objects: [
        { label: "in", box: [-5, 2, 8, 30] as [number, number, number, number] },
        { label: "out", box: [12, 2, 15, 30] as [number, number, number, number] },
      ],
    };
    expect(clipObjects(image)).toEqual([{ label: "in", box: [0, 2, 8, 20] }]);
  });

  it("turn with the clock and keep their first point", () => {
    const counter = [0, 0, 0, 4, 4, 4, 4, 0];
    expect(signedArea(counter)).toBe(-16);
    expect(clockwise(counter)).toEqual([0, 0, 4, 0, 4, 4, 0, 4]);
    expect(clockwise(clockwise(counter))).toEqual(clockwise(counter));
  });

  it("join rings into one that covers the same pixels", () => {
    const size = { width: 64, height: 48 };
    const rings = [
      [4, 4, 20, 4, 20, 20, 4, 20],
      [30, 10, 50, 10, 50, 40, 30, 40],
      [8, 30, 20, 30, 20, 44],
    ];
    const joined = joinRings(rings);
    expect(boundsOf(joined)).toEqual(boundsOf(rings.flat()));
    expect(polygonArea(joined)).toBe(rings.reduce((sum, ring) => sum + polygonArea(ring), 0));
    expect(rasterize([joined], size)).toEqual(rasterize(rings, size));
  });

  it("tile an image without gaps, overlapping as asked", () => {
    for (const [width, height, side, overlap] of [
      [10, 6, 6, 0],
      [1000, 700, 300, 0.2],
      [1000, 1000, 768, 0.2],
      [50, 900, 100, 0.5],
    ] as const) {
      const tiles = tilesOf({ width, height }, side, overlap);
      const lefts = [...new Set(tiles.map(([left]) => left))];
      for (const [i, left] of lefts.entries()) {
        if (i > 0) expect(left - lefts[i - 1]!).toBeLessThanOrEqual(Math.round(side * (1 - overlap)) + 1);
      }
      expect(boundsOf(tiles.flat())).toEqual([0, 0, width, height]);
      for (const [left, top, right, bottom] of tiles) {
        expect(right - left).toBe(Math.min(side, width));
        expect(bottom - top).toBe(Math.min(side, height));
      }
    }
  });
});

describe("run lengths", () => {
  it("are pycocotools'", () => {
    for (const { size, pixels, counts } of fixture("read_back.json").runLengths) {
      const [height, width] = size;
      const rows = Uint8Array.from(pixels as string, Number);
      const columns = Uint8Array.from(rows, (_, i) => rows[(i % height) * width + Math.floor(i / height)]!);
      expect(encodeMask(columns, { width, height })).toEqual({ size, counts });
      expect(textToRuns(counts)).toEqual(runsOf(columns));
      expect(decodeMask({ size, counts })).toEqual(columns);
      expect(decodeMask({ size, counts: runsOf(columns) })).toEqual(columns);
      expect(maskRows(columns, { width, height })).toEqual(rows);
    }
  });

  it("have the box of their pixels", () => {
    const size = { width: 9, height: 7 };
    expect(boxOfMask(encodeMask(rasterize([[2, 1, 6, 1, 6, 5, 2, 5]], size), size))).toEqual([2, 1, 6, 5]);
    expect(boxOfMask(encodeMask(new Uint8Array(63).fill(1), size))).toEqual([0, 0, 9, 7]);
    expect(boxOfMask(encodeMask(new Uint8Array(63), size))).toEqual([0, 0, 0, 0]);
  });
});

describe("suppression", () => {
  it("keeps what torchvision keeps", () => {
    for (const { boxes, labels, scores, iou, ...kept } of fixture("suppression.json")) {
      const candidates = boxes.map((box: number[], i: number) => ({
        box,
        label: String(labels[i]),
        score: scores[i],
        i,
      }));
      for (const mode of ["agnostic", "class"] as const) {
        const found = suppress<{ box: number[]; label: string; score: number; i: number }>(
          candidates,
          iou,
          mode,
        );
        expect(found.map(({ i }) => i)).toEqual(kept[mode]);
      }
      expect(suppress(candidates, iou, "none")).toEqual(candidates);
    }
  });
});
