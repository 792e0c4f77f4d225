/** The metrics against their reference implementations (tests/reference/evaluation.py). */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { boxOverlap } from "../../datasets/geometry/boxes.ts";
import { maskOverlap, rasterize } from "../../datasets/geometry/masks.ts";
import { quadOverlap } from "../../datasets/geometry/quads.ts";
import { bleu } from "../../eval/metrics/bleu.ts";
import { matchBoxes, phrasesFound } from "../../eval/metrics/boxes.ts";
import { ciderD } from "../../eval/metrics/cider.ts";
import { type CocoDetection, type CocoTruth, cocoFigures } from "../../eval/metrics/coco_map.ts";
import { precisionRecall } from "../../eval/metrics/matching.ts";
import { captionTokens } from "../../eval/metrics/ptb_tokens.ts";
import { reliability } from "../../eval/metrics/reliability.ts";
import { characterErrorRate, wordErrorRate } from "../../eval/metrics/texts.ts";
import { vqaAccuracy } from "../../eval/metrics/vqa.ts";

interface MetricsFixture {
  readonly tokens: { caption: string; tokens: string[] }[];
  readonly captions: {
    cases: { hypothesis: string; references: string[] }[];
    cider: number;
    cider_each: number[];
    bleu: number[];
    bleu_each: number[][];
  };
  readonly detection: { truths: CocoTruth[]; detections: CocoDetection[]; stats: number[] }[];
  readonly masks: {
    width: number;
    height: number;
    polygons: [number[][], number[][]];
    sha256: [string, string];
    iou: number;
  }[];
  readonly quads: { quads: [number[], number[]]; iou: number }[];
  readonly error_rates: { truths: string[]; found: string[]; cer: number; wer: number };
}

const fixture = JSON.parse(
  readFileSync(new URL("../fixtures/eval/metrics.json", import.meta.url), "utf8"),
) as MetricsFixture;

/** Figures agree to the rounding of doubles. */
const DIGITS = 12;

const tokenized = ({ hypothesis, references }: { hypothesis: string; references: string[] }) => ({
  hypothesis: captionTokens(hypothesis),
  references: references.map(captionTokens),
});

/** pycocotools' order, and its -1 for nothing to measure. */
function statsOf(truths: CocoTruth[], detections: CocoDetection[]): number[] {
  const { AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl } = cocoFigures(
    truths,
    detections,
  ).figures;
  return [AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl].map((figure) =>
    Number.isNaN(figure) ? -1 : figure,
  );
}

function expectClose(found: readonly number[], expected: readonly number[], name: string): void {
  expect(found.length, name).toBe(expected.length);
  for (const [i, value] of expected.entries()) expect(found[i], `${name} [${i}]`).toBeCloseTo(value, DIGITS);
}

describe("captions", () => {
  it("have the words of the Penn Treebank tokenizer", () => {
    for (const { caption, tokens } of fixture.tokens) expect(captionTokens(caption), caption).toEqual(tokens);
    expect(captionTokens("the constructor and __proto__")).toContain("constructor");
    expect(captionTokens("  ")).toEqual([]);
  });

  it("have the reference's CIDEr-D", () => {
    const { score, perCase } = ciderD(fixture.captions.cases.map(tokenized));
    expectClose([score, ...perCase], [fixture.captions.cider, ...fixture.captions.cider_each], "CIDEr-D");
  });

  it("have the reference's BLEU-1 to BLEU-4", () => {
    const { scores, perCase } = bleu(fixture.captions.cases.map(tokenized));
    expectClose(scores, fixture.captions.bleu, "BLEU");
    for (const [i, expected] of fixture.captions.bleu_each.entries()) {
      expectClose(perCase[i]!, expected, `BLEU of case ${i}`);
    }
  });
});

describe("detection", () => {
  it("has COCO's twelve numbers", () => {
    for (const [i, { truths, detections, stats }] of fixture.detection.entries()) {
      expectClose(statsOf(truths, detections), stats, `case ${i}`);
    }
  });

  it("measures a data set of COCO's size", () => {
    const category = (i: number) => `category ${i % 80}`;
    const box = (i: number) => [i % 500, (7 * i) % 300, 20 + (i % 150), 20 + (i % 130)] as const;
    const truths = Array.from({ length: 36_000 }, (_, i) => ({
      image: i % 5000,
      category: category(i),
      box: box(i),
    }));
    const detections = truths.flatMap((truth, i) => [
      { ...truth, score: (i % 97) / 97 },
      { ...truth, box: box(i + 3), score: (i % 89) / 89 },
    ]);
    expect(cocoFigures(truths, detections).figures.AR100).toBe(1);
  });

  it("pairs boxes whatever their order", () => {
    // The first box fits both true ones, the second only one of them.
    const found = {
      boxes: [
        [0, 0, 10, 10],
        [0, 0, 10, 13],
      ],
      labels: ["a", "a"],
    };
    const truth = {
      boxes: [
        [0, 0, 10, 14],
        [0, 0, 10, 6],
      ],
      labels: ["a", "a"],
    };
    for (const boxes of [found.boxes, found.boxes.toReversed()]) {
      expect(matchBoxes({ ...found, boxes }, truth, { labels: true })).toHaveLength(2);
    }
    expect(matchBoxes({ ...found, labels: ["b", "a"] }, truth, { labels: true })).toHaveLength(1);
    expect(matchBoxes({ ...found, labels: ["b", "a"] }, truth, { labels: false })).toHaveLength(2);
    expect(precisionRecall([{ pairs: 2, found: 4, wanted: 3 }])).toEqual({
      precision: 1 / 2,
      recall: 2 / 3,
      f1: 4 / 7,
    });
  });

  it("counts a phrase by its first box", () => {
    const truth = {
      boxes: [
        [0, 0, 10, 10],
        [50, 50, 60, 60],
        [0, 0, 5, 5],
      ],
      labels: ["dog", "dog", "cat"],
    };
    const boxes = [
      [50, 50, 60, 60],
      [90, 90, 99, 99],
      [0, 0, 5, 5],
    ];
    expect(phrasesFound({ boxes, labels: ["dog", "cat", "cat"] }, truth)).toEqual([true, false]);
    expect(boxOverlap([0, 0, 0, 0], [0, 0, 0, 0])).toBe(0);
  });

  it("bins confidences", () => {
    const answers = [
      { confidence: 0.95, isRight: true },
      { confidence: 0.95, isRight: false },
      { confidence: 0.1, isRight: false },
      { confidence: 0, isRight: false },
    ];
    const { bins, expectedCalibrationError } = reliability(answers);
    expect(bins.map(({ count }) => count)).toEqual([2, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    expect(bins[9]).toMatchObject({ confidence: 0.95, accuracy: 0.5 });
    expect(expectedCalibrationError).toBeCloseTo((2 * 0.45 + 2 * 0.05) / 4, DIGITS);
  });
});

describe("shapes", () => {
  it("of polygons have pycocotools' pixels", () => {
    for (const [i, { width, height, polygons, sha256, iou }] of fixture.masks.entries()) {
      const masks = polygons.map((polygon) => rasterize(polygon, { width, height }));
      const digests = masks.map((mask) => createHash("sha256").update(mask).digest("hex"));
      expect(digests, `case ${i}`).toEqual(sha256);
      expect(maskOverlap(masks[0]!, masks[1]!), `case ${i}`).toBeCloseTo(iou, DIGITS);
    }
  });

  it("of quads overlap as shapely says", () => {
    for (const [i, { quads, iou }] of fixture.quads.entries()) {
      expect(quadOverlap(...quads), `case ${i}`).toBeCloseTo(iou, 9);
    }
    expect(quadOverlap([0, 0, 1, 0, 1, 1, 0, 1], [5, 5, 6, 5, 6, 6, 5, 6])).toBe(0);
    expect(quadOverlap([1, 1, 1, 1, 1, 1, 1, 1], [0, 0, 2, 0, 2, 2, 0, 2])).toBe(0);
  });
});

describe("texts", () => {
  it("have jiwer's error rates", () => {
    const { truths, found, cer, wer } = fixture.error_rates;
    const cases = truths.map((truth, i) => ({ truth, found: found[i]! }));
    expect(characterErrorRate(cases)).toBeCloseTo(cer, DIGITS);
    expect(wordErrorRate(cases)).toBeCloseTo(wer, DIGITS);
  });

  it("answer questions as far as people agree", () => {
    const accuracy = (prediction: string, ...answers: string[]) =>
      vqaAccuracy([{ prediction, answers }]).accuracy;
    const tenWith = (agreeing: number) =>
      Array.from({ length: 10 }, (_, i) => (i < agreeing ? "cat" : "dog"));
    expect([0, 1, 2, 3, 4, 10].map((agreeing) => accuracy("cat", ...tenWith(agreeing)))).toEqual([
      0, 0.3, 0.6, 0.9, 1, 1,
    ]);
    const ten = (answer: string, other: string) => [...Array(5).fill(answer), ...Array(5).fill(other)];
    expect(accuracy("The Two cats!", ...ten("2 cats", "none"))).toBe(1);
    expect(accuracy("isnt", ...ten("isn't", "yes"))).toBe(1);
    expect(accuracy("1,000", ...ten("1000", "yes"))).toBe(1);
    expect(accuracy("The cat", ...Array(10).fill("cat"))).toBe(0);
  });
});

const shared = new URL("../../../shared/data/metrics/expected.json", import.meta.url);

interface ExpectedValues {
  readonly cider: {
    name: string;
    cases: { hypothesis: string; references: string[] }[];
    score: number;
    per_image: number[];
  }[];
  readonly coco_bbox: {
    name: string;
    gt: { image_id: number; category_id: number; bbox: [number, number, number, number]; iscrowd?: 1 }[];
    dt: { image_id: number; category_id: number; bbox: [number, number, number, number]; score: number }[];
    stats: number[];
  }[];
  readonly vqa: { prediction: string; answers: string[]; accuracy: number }[];
}

describe.skipIf(!existsSync(shared))("expected values beside the checkout", () => {
  const read = () => JSON.parse(readFileSync(shared, "utf8")) as ExpectedValues;

  it("of CIDEr-D", () => {
    for (const { name, cases, score, per_image } of read().cider) {
      const found = ciderD(cases.map(tokenized));
      expectClose([found.score, ...found.perCase], [score, ...per_image], name);
    }
  });

  it("of COCO's twelve numbers", () => {
    for (const { name, gt, dt, stats } of read().coco_bbox) {
      const truths = gt.map(({ image_id, category_id, bbox, iscrowd }) => ({
        image: image_id,
        category: String(category_id),
        box: bbox,
        isCrowd: iscrowd === 1,
      }));
      const detections = dt.map(({ image_id, category_id, bbox, score }) => ({
        image: image_id,
        category: String(category_id),
        box: bbox,
        score,
      }));
      // The file has six digits.
      const rounded = statsOf(truths, detections).map((figure) => Number(figure.toFixed(6)));
      expect(rounded, name).toEqual(stats);
    }
  });

  it("of VQA accuracy", () => {
    for (const { prediction, answers, accuracy } of read().vqa) {
      expect(vqaAccuracy([{ prediction, answers }]).accuracy, prediction).toBeCloseTo(accuracy / 100, DIGITS);
    }
  });
});
