import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { drawOnImage } from "../../draw/image.ts";
import { COLOURS, type DrawOptions } from "../../draw/svg.ts";
import type { Answer } from "../../model/tasks/index.ts";
import { rgb } from "../support/drawings.ts";

/** An answer on a plain grey image: what the pixels are, and the size with the strip under it. */
async function drawOnGrey(answer: Answer, options?: DrawOptions) {
  const grey = {
    width: 200,
    height: 150,
    data: new Uint8Array(200 * 150 * 3).fill(128),
    channels: 3,
  } as const;
  const png = await drawOnImage(grey, answer, options);
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  const at = (x: number, y: number) => [
    ...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3),
  ];
  return { at, data, width: info.width, height: info.height };
}

describe("on the image", () => {
  it("a box is a line of its label's colour with a light rim", async () => {
    const { at, width, height } = await drawOnGrey({ bboxes: [[40, 40, 120, 110]], labels: [""] });
    expect([width, height]).toEqual([200, 150]);
    expect(at(40, 80)).toEqual(rgb(COLOURS[0]!));
    expect(at(41, 80)[0]).toBeGreaterThan(180);
    expect(at(80, 75)).toEqual([128, 128, 128]);
    expect(at(20, 75)).toEqual([128, 128, 128]);
  });

  it("a quad is a line through its four corners", async () => {
    const { at } = await drawOnGrey({ quad_boxes: [[40, 40, 140, 60, 140, 100, 40, 80]], labels: [""] });
    for (const [x, y] of [
      [90, 50],
      [140, 80],
      [90, 90],
      [40, 60],
    ]) {
      expect(at(x!, y!)).toEqual(rgb(COLOURS[0]!));
    }
    expect(at(90, 70)).toEqual([128, 128, 128]);
  });

  it("a mask is a translucent area, equally where its parts overlap", async () => {
    const square = (from: number, to: number) => [from, from, to, from, to, to, from, to];
    const { at } = await drawOnGrey({ polygons: [[[], square(30, 80), square(60, 110)]], labels: [""] });
    const blended = rgb(COLOURS[0]!).map((value) => 0.45 * value + 0.55 * 128);
    for (const place of [45, 70, 95]) {
      for (const [i, value] of at(place, place).entries()) {
        expect(Math.abs(value - blended[i]!), `${place}`).toBeLessThan(2);
      }
    }
    expect(at(45, 95)).toEqual([128, 128, 128]);
  });

  it("boxes and masks of one answer are both drawn", async () => {
    const { at } = await drawOnGrey({
      bboxes: [[10, 40, 60, 140]],
      bboxes_labels: ["cat"],
      polygons: [[[100, 40, 190, 40, 190, 140, 100, 140]]],
      polygons_labels: ["dog"],
    });
    expect(at(10, 100)).toEqual(rgb(COLOURS[0]!));
    expect(at(100, 100)).toEqual(rgb(COLOURS[1]!));
    expect(at(150, 100)).not.toEqual([128, 128, 128]);
  });

  it("words stand under it, the question above the answer", async () => {
    const plain = await drawOnGrey("");
    expect(plain.height).toBe(150);
    const said = await drawOnGrey("A cat.");
    const both = await drawOnGrey("A cat.", { question: "<CAPTION>" });
    expect(said.height).toBeGreaterThan(160);
    expect(both.height).toBeGreaterThan(said.height + 8);
    expect(both.at(1, both.height - 1)).toEqual([255, 255, 255]);
    expect(both.at(100, 149)).toEqual([128, 128, 128]);
    expect(Math.min(...said.data.subarray(200 * 150 * 3))).toBeLessThan(90);
  });

  it("what was asked about is dashed, dark and light", async () => {
    const { at } = await drawOnGrey("cat", { region: { x1: 40, y1: 40, x2: 160, y2: 120 } });
    const edge = Array.from({ length: 60 }, (_, i) => at(40, 50 + i)[0]!);
    expect(Math.min(...edge)).toBeLessThan(60);
    expect(Math.max(...edge)).toBe(255);
  });

  it("everything grows with the scale", async () => {
    const { at, width, height } = await drawOnGrey(
      { bboxes: [[40, 40, 120, 110]], labels: [""] },
      { scale: 2.5 },
    );
    expect([width, height]).toEqual([500, 375]);
    expect(at(100, 200)).toEqual(rgb(COLOURS[0]!));
    expect(at(200, 187)).toEqual([128, 128, 128]);
  });

  it("answers of every kind that are empty leave the image as it is", async () => {
    for (const answer of [
      { bboxes: [], labels: [] },
      { quad_boxes: [], labels: [] },
      { polygons: [[[]]], labels: [""] },
    ] as Answer[]) {
      const { data } = await drawOnGrey(answer);
      expect(data).toEqual(Buffer.alloc(200 * 150 * 3, 128));
    }
  });
});
