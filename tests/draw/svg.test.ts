import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { drawAnswer } from "../../draw/svg.ts";
import { type Answer, objectsOf } from "../../model/tasks/index.ts";
import { boxes, size } from "../support/drawings.ts";
import { florenceError } from "../support/errors.ts";

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
