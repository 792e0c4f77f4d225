import { describe, expect, it } from "vitest";
import { radii, radiusOf } from "../../../kernels/shared/locations.ts";
import { parseAnswer } from "../../../model/tasks/index.ts";

const SIZE = { width: 1000, height: 1000 };

/** Generated text token by token; a location is given by its bin and the probability within so many bins of it. */
type Piece = string | { readonly bin: number; readonly within: Readonly<Record<number, number>> };

function generated(pieces: readonly Piece[], labelProbability: number) {
  const texts = pieces.map((piece) => (typeof piece === "string" ? piece : `<loc_${piece.bin}>`));
  const offsets = [0];
  for (const text of texts) offsets.push(offsets.at(-1)! + text.length);
  const masses = pieces.map((piece) => {
    if (typeof piece === "string") return undefined;
    let mass = 0;
    return radii.map((radius) => {
      mass = piece.within[radius] ?? mass;
      return mass;
    });
  });
  const logProbs = pieces.map((piece) =>
    typeof piece === "string" ? Math.log(labelProbability) : Math.log(piece.within[0]!),
  );
  return { text: texts.join(""), tokens: { offsets, logProbs, masses } };
}

/** A box of 96 by 48 bins: edges may be off by 32 and 16. */
const box = (x: number, y: number): Piece[] =>
  [100, 200, 195, 247].map((bin, i) => ({ bin, within: { 0: 0.1, 16: y, 32: i % 2 === 0 ? x : 1 } }));

describe("the radii of masses", () => {
  it("are 0 and the powers of two, and each distance belongs to the next of them", () => {
    expect(radii.slice(0, 6)).toEqual([0, 1, 2, 4, 8, 16]);
    for (let distance = 0; distance < 1000; distance++) {
      expect(radii[radiusOf(distance)]).toBeGreaterThanOrEqual(distance);
      if (distance > 0) expect(radii[radiusOf(distance) - 1]).toBeLessThan(distance);
    }
  });
});

describe("the score of a place", () => {
  it("is the least of the masses within a third of the side, times the label's cube root", () => {
    const sure = generated(["cat", ...box(0.9, 0.8)], 1);
    expect(parseAnswer("<OD>", sure, SIZE).scores![0]).toBeCloseTo(0.8, 9);
    const unsure = generated(["cat", ...box(0.6, 0.8)], 0.125);
    expect(parseAnswer("<OD>", unsure, SIZE).scores![0]).toBeCloseTo(0.6 * 0.5, 9);
  });

  it("lies between the radii around the tolerance", () => {
    const edges = [100, 200, 171, 271].map((bin): Piece => ({ bin, within: { 0: 0.1, 16: 0.4, 32: 0.8 } }));
    // A third of 72 is 24, half the way from 16 to 32.
    expect(parseAnswer("<OD>", generated(["cat", ...edges], 1), SIZE).scores![0]).toBeCloseTo(0.6, 9);
  });

  it("counts the label of every box of one name", () => {
    const { scores } = parseAnswer("<OD>", generated(["cat", ...box(1, 1), ...box(1, 1)], 0.125), SIZE);
    expect(scores).toHaveLength(2);
    for (const score of scores!) expect(score).toBeCloseTo(0.5, 9);
  });

  it("is Microsoft's by name, and where nothing is known around the chosen bins", () => {
    const answer = generated(["cat", ...box(0.9, 0.8)], 1);
    const scores = (found: typeof answer, kind?: "confidence" | "microsoft") =>
      parseAnswer("<OD>", found, SIZE, { scores: kind }).scores![0];
    expect(scores(answer, "microsoft")).toBeCloseTo(0.1, 9);
    const { offsets, logProbs } = answer.tokens;
    const bare = { text: answer.text, tokens: { offsets, logProbs } };
    expect(parseAnswer("<OD>", bare, SIZE).scores![0]).toBeCloseTo(0.1, 9);
  });

  it("of quads is that of their least sure corner, of outlines that of their mean point", () => {
    const bins = [100, 200, 195, 200, 195, 247, 100, 247];
    const points = (low: number) =>
      bins.map(
        (bin, i): Piece => ({ bin, within: { 0: 0.1, 16: i === 3 ? low : 0.9, 32: i === 3 ? low : 0.9 } }),
      );
    const quad = parseAnswer("<OCR_WITH_REGION>", generated(["EXIT", ...points(0.5)], 1), SIZE);
    expect(quad.scores![0]).toBeCloseTo(0.5, 9);
    const mask = parseAnswer("<REGION_TO_SEGMENTATION>", generated(points(0.1), 1), SIZE);
    expect(mask.scores![0]).toBeCloseTo((7 * 0.9 + 0.1) / 8, 9);
  });
});
