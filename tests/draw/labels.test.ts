import { describe, expect, it } from "vitest";
import { placeLabels } from "../../draw/labels.ts";
import { COLOURS, drawAnswer } from "../../draw/svg.ts";
import { randomArrays } from "../../measure/generated/random.ts";
import type { Answer, BoxAnswer } from "../../model/tasks/index.ts";
import { ASCII, boxes, labelsIn, rgb, size } from "../support/drawings.ts";

/** Numbers are written to a hundredth; a right edge is the sum of two. */
const ROUNDING = 0.011;

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
