import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { drawOnImage } from "../../draw/image.ts";
import { placeLabels } from "../../draw/labels.ts";
import { textPath, textWidth, wrapText } from "../../draw/stroke_font.ts";
import { COLOURS, type DrawOptions, drawAnswer } from "../../draw/svg.ts";
import { randomArrays } from "../../measure/generated/random.ts";
import { type Answer, type BoxAnswer, objectsOf } from "../../model/tasks/index.ts";
import { florenceError } from "../support/errors.ts";

const size = { width: 400, height: 300 };
/** Numbers are written to a hundredth; a right edge is the sum of two. */
const ROUNDING = 0.011;
const ASCII = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
const boxes = (labels: readonly string[], bboxes: readonly (readonly number[])[]): BoxAnswer => ({
  bboxes: bboxes as BoxAnswer["bboxes"],
  labels: [...labels],
  scores: labels.map((_, i) => 0.9 - 0.1 * i),
});

interface DrawnLabel {
  readonly text: string;
  readonly colour: string;
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

const attribute = (element: string, name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(element)?.[1];
const pointsIn = (path: string): [number, number][] =>
  [...path.matchAll(/(-?[\d.]+) (-?[\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)]);

/** The labels of a drawing, their rectangles widened by their letters, so that both are looked at. */
function labelsIn(svg: string): DrawnLabel[] {
  return [...svg.matchAll(/<g><title>([^<]*)<\/title>(<rect x=[^>]*>)(<path[^>]*>)<\/g>/g)].map(
    ([, text, rect, path]) => {
      const [x, y, width, height] = ["x", "y", "width", "height"].map((name) =>
        Number(attribute(rect!, name)),
      ) as [number, number, number, number];
      const letters = pointsIn(attribute(path!, "d")!);
      const [across, down] = [letters.map(([px]) => px), letters.map(([, py]) => py)];
      return {
        text: text!,
        colour: attribute(rect!, "fill")!,
        left: Math.min(x, ...across),
        top: Math.min(y, ...down),
        right: Math.max(x + width, ...across),
        bottom: Math.max(y + height, ...down),
      };
    },
  );
}

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

const rgb = (colour: string) => [1, 3, 5].map((from) => Number.parseInt(colour.slice(from, from + 2), 16));

describe("the stroke font", () => {
  it("has a shape of its own for every printable character of ASCII", () => {
    const shapes = ASCII.map((character) => textPath(character, 0, 20, 20));
    expect(new Set(shapes).size).toBe(ASCII.length);
    expect(shapes).not.toContain(textPath("中", 0, 20, 20));
  });

  it("keeps letters between the lines above and below, and within their width", () => {
    for (const character of ASCII) {
      for (const [x, y] of pointsIn(textPath(character, 0, 20, 20))) {
        expect(x, character).toBeGreaterThanOrEqual(0);
        expect(x, character).toBeLessThanOrEqual(textWidth(character, 20) + 1e-9);
        expect(y, character).toBeGreaterThanOrEqual(-1);
        expect(y, character).toBeLessThanOrEqual(26);
      }
    }
  });

  it("draws a frame for what it does not know, and letters without their accents", () => {
    expect(textPath("☃", 0, 20, 20)).toMatch(/^M.*Z$/);
    expect(textPath("\u0007", 0, 20, 20)).toBe(textPath("☃", 0, 20, 20));
    expect(textPath("Café", 0, 20, 20)).toBe(textPath("Cafe", 0, 20, 20));
  });

  it("sets a line from its place, at its size", () => {
    expect(textPath("HI", 100, 50, 10)).toBe(
      "M100 40L100 50M106.5 40L106.5 50M100 45L106.5 45M109.5 40L112.5 40M111 40L111 50M109.5 50L112.5 50",
    );
    expect(textWidth("HI", 10)).toBe(12.5);
    expect(textWidth("", 10)).toBe(0);
  });

  it("breaks lines between words, and words that are too long", () => {
    expect(wrapText("a bb ccc", 20, textWidth("a bb", 20))).toEqual(["a bb", "ccc"]);
    expect(wrapText("a\nb", 20, 1000)).toEqual(["a", "b"]);
    expect(wrapText("aaaaa", 20, textWidth("aa", 20))).toEqual(["aa", "aa", "a"]);
    const text = ASCII.join("").repeat(9);
    const lines = wrapText(text, 10, 200);
    expect(lines.join("").replaceAll(" ", "")).toBe(text.replaceAll(" ", ""));
    expect(Math.max(...lines.map((line) => textWidth(line, 10)))).toBeLessThanOrEqual(200);
  });
});

describe("labels", () => {
  const { integers } = randomArrays(7);
  const draw = (limit: number) => integers(limit, 1).data[0]!;
  const word = () => ASCII[33 + draw(26)]!.repeat(1 + draw(14));

  it("stay inside images of all sizes and shapes", () => {
    for (let trial = 0; trial < 300; trial++) {
      const [width, height] = [1 + draw(draw(2) ? 3000 : 60), 1 + draw(draw(2) ? 3000 : 60)];
      const bboxes = Array.from({ length: 1 + draw(6) }, () => {
        const [x, y] = [draw(width), draw(height)];
        return [x, y, x + draw(width - x), y + draw(height - y)];
      });
      const labels = bboxes.map(() => Array.from({ length: 1 + draw(12) }, word).join(" "));
      const drawn = labelsIn(drawAnswer(boxes(labels, bboxes), { width, height }));
      expect(drawn.length).toBe(labels.length);
      for (const { left, top, right, bottom } of drawn) {
        const where = `${width} x ${height}: ${JSON.stringify(bboxes)}`;
        expect(Math.min(left, top), where).toBeGreaterThanOrEqual(-ROUNDING);
        expect(right, where).toBeLessThanOrEqual(width + ROUNDING);
        expect(bottom, where).toBeLessThanOrEqual(height + ROUNDING);
      }
    }
  });

  it("stand above what they name, inside where there is no room, and not on each other", () => {
    const place = { left: 50, top: 100, width: 90, height: 80 };
    const [above, beside] = placeLabels(
      [
        { text: "cat", place },
        { text: "dog", place },
      ],
      size,
      10,
    );
    expect(above!.top + above!.height).toBe(place.top);
    expect(above!.left).toBe(place.left);
    expect(beside!.left >= above!.left + above!.width || beside!.top >= above!.top + above!.height).toBe(
      true,
    );
    const [inside] = placeLabels([{ text: "cat", place: { ...place, top: 3 } }], size, 10);
    expect(inside!.top).toBe(0);
  });

  it("give the label, and on request the confidence, or the one that there is", () => {
    const texts = (answer: Answer, scores = true) =>
      labelsIn(drawAnswer(answer, size, { scores })).map(({ text }) => text);
    const bboxes: BoxAnswer["bboxes"] = [[10, 50, 90, 90]];
    expect(texts({ bboxes, labels: ["cat"], scores: [0.876] })).toEqual(["cat 0.88"]);
    expect(texts({ bboxes, labels: ["cat"], scores: [0.876] }, false)).toEqual(["cat"]);
    expect(labelsIn(drawAnswer({ bboxes, labels: ["cat"], scores: [0.876] }, size))[0]!.text).toBe("cat");
    expect(texts({ bboxes, labels: [""], scores: [0.5] }, false)).toEqual([]);
    expect(texts({ bboxes, labels: ["cat"] })).toEqual(["cat"]);
    expect(texts({ bboxes, labels: [""], scores: [0.5] })).toEqual(["0.50"]);
    for (const nothing of ["", "  ", "\n"]) expect(texts({ bboxes, labels: [nothing] })).toEqual([]);
  });

  it("have the colour of their kind, on which white letters are legible", () => {
    const four = [10, 90, 170, 250].map((x) => [x, 100, x + 60, 150]);
    const colours = labelsIn(drawAnswer(boxes(["cat", "dog", "cat", "cow"], four), size)).map(
      ({ colour }) => colour,
    );
    expect(colours[0]).toBe(colours[2]);
    expect(new Set(colours).size).toBe(3);
    // Relative luminance and contrast of WCAG 2.
    for (const colour of COLOURS) {
      const [r, g, b] = rgb(colour).map((value) =>
        value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4,
      );
      const luminance = 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
      expect(1.05 / (luminance + 0.05), colour).toBeGreaterThan(4.5);
    }
  });
});

describe("a drawing", () => {
  it("needs no font, and says its texts to those who read it", () => {
    const svg = drawAnswer(boxes(["cat & <dog>"], [[10, 50, 90, 90]]), size, {
      question: "<OD>",
      scores: true,
    });
    expect(svg).not.toContain("<text");
    expect(svg).toContain("<title>cat &amp; &lt;dog&gt; 0.90</title>");
    expect(svg).toContain("<title>&lt;OD&gt;</title>");
  });

  it.each(["\0\x1b\x7f", "\ud800", "\uffff", "]]>", "\u202e\u{1f41f}", "  ", "\n\n", "a".repeat(5000)])(
    "of the label %j is an image all the same",
    async (label) => {
      const svg = drawAnswer(boxes([label], [[10, 50, 90, 90]]), size, { question: label });
      const { info } = await sharp(Buffer.from(svg)).png().toBuffer({ resolveWithObject: true });
      expect(info.width).toBe(size.width);
    },
  );

  it("sets letters of other scripts in the viewer's font, within their label", () => {
    const svg = drawAnswer(
      boxes(
        ["猫と犬", "한글", "кот <&>"],
        [
          [10, 90, 90, 290],
          [110, 90, 190, 290],
          [210, 90, 290, 290],
        ],
      ),
      size,
    );
    const texts = [
      ...svg.matchAll(
        /<rect x="([\d.]+)"[^>]*width="([\d.]+)"[^>]*>.*?<text x="([\d.]+)"[^>]*textLength="([\d.]+)"[^>]*>([^<]*)</g,
      ),
    ];
    expect(texts.map(([, , , , , text]) => text)).toEqual(["猫と犬", "한글", "кот &lt;&amp;&gt;"]);
    for (const [, left, width, x, length] of texts) {
      expect(Number(x)).toBeGreaterThan(Number(left));
      expect(Number(x) + Number(length)).toBeLessThan(Number(left) + Number(width));
    }
    expect(drawAnswer(boxes(["Café"], [[10, 90, 90, 290]]), size)).not.toContain("<text");
  });

  it("of a result's objects is that of its answer", () => {
    const answers: Answer[] = [
      boxes(
        ["cat", "dog"],
        [
          [10, 50, 90, 90],
          [100, 50, 190, 90],
        ],
      ),
      { quad_boxes: [[40, 40, 140, 60, 140, 100, 40, 80]], labels: ["BOOKS"] },
      {
        polygons: [
          [
            [30, 30, 80, 30, 80, 80],
            [90, 90, 95, 90, 95, 95],
          ],
        ],
        labels: [""],
      },
    ];
    for (const answer of answers) {
      const objects = objectsOf(answer);
      expect(objects.length).toBeGreaterThan(0);
      expect(drawAnswer(objects, size)).toBe(drawAnswer(answer, size));
    }
    expect(drawAnswer([], size)).toBe(drawAnswer("", size));
    const nothing = [{ label: "", box: [1, 1, 1, 1] as const, polygons: [] }];
    expect(drawAnswer(nothing, size)).toBe(drawAnswer("", size));
  });

  it("takes the region as an array or by names", () => {
    const region = [10, 20, 30, 40] as const;
    const named = { x1: 10, y1: 20, x2: 30, y2: 40 };
    expect(drawAnswer("", size, { region })).toBe(drawAnswer("", size, { region: named }));
    expect(() => drawAnswer("", size, { region: [1, 2, 3] as never })).toThrow(
      florenceError("option_invalid", "region is [1,2,3]"),
    );
  });

  it("refuses a size or a scale that is none", () => {
    expect(() => drawAnswer("", { width: 0, height: 5 })).toThrow(
      florenceError("image_invalid", "width is 0"),
    );
    for (const scale of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => drawAnswer("", size, { scale })).toThrow(
        florenceError("option_invalid", `scale is ${scale}`),
      );
    }
  });
});

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
