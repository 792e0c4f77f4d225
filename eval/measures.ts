import { boxOverlap } from "../datasets/geometry/boxes.ts";
import { maskOverlap, rasterize } from "../datasets/geometry/masks.ts";
import { quadOverlap } from "../datasets/geometry/quads.ts";
import type { LabelledBoxes, TrueBoxes, TruePolygons, TrueQuads } from "../datasets/truth/truth.ts";
import { type AnswerOf, plainText, type TaskToken } from "../model/tasks/index.ts";
import type { Case, Measure } from "./measure.ts";
import { matchBoxes, phrasesFound } from "./metrics/boxes.ts";
import { type CocoBox, type CocoFigures, type CocoTruth, cocoFigures } from "./metrics/coco_map.ts";
import { matchPairs, type PairCounts, precisionRecall } from "./metrics/matching.ts";
import { mean } from "./metrics/mean.ts";
import { presence } from "./metrics/presence.ts";
import { type Bin, type Judged, reliability } from "./metrics/reliability.ts";
import { characterErrorRate } from "./metrics/texts.ts";
import { captions, category, freePrompt, reading } from "./text_measures.ts";

/** IoU from which a shape counts as found. */
const THRESHOLD = 0.5;

type BoxAnswer = AnswerOf<"<OD>">;

/** Names are compared without regard to capitals and outer white space. */
const named = (label: string) => label.trim().toLowerCase();

const detection: Measure<TrueBoxes, BoxAnswer> = {
  judge(cases) {
    const truths = cases.flatMap(({ truth }, image) =>
      truth.boxes.map(
        (box, i): CocoTruth => ({
          image,
          category: named(truth.labels[i]!),
          box: cocoBox(box),
          area: truth.areas?.[i],
          isCrowd: truth.crowds?.[i],
        }),
      ),
    );
    const found = cases.flatMap(({ answer }, image) =>
      answer.bboxes.map((box, i) => ({
        image,
        category: named(answer.labels[i]!),
        box: cocoBox(box),
        score: answer.scores![i]!,
      })),
    );
    const ranked = cocoFigures(truths, found);
    const constant = cocoFigures(
      truths,
      found.map((detection) => ({ ...detection, score: 1 })),
    );
    const matches = cases.map(matchThings);
    const { precision, recall, f1 } = precisionRecall(matches);
    const { bins, expectedCalibrationError } = reliability(matches.flatMap(({ judged }) => judged));
    const categories = new Set(truths.map(({ category }) => category));
    return {
      figures: {
        ...ranked.figures,
        ...withSuffix(constant.figures, "constant scores"),
        "F1@0.5": f1,
        "precision@0.5": precision,
        "recall@0.5": recall,
        "expected calibration error": expectedCalibrationError,
        "boxes with labels that the truth does not have": found.filter(
          ({ category }) => !categories.has(category),
        ).length,
      },
      ...(categories.size > 0 && {
        precisions: { "by confidence": ranked.precisionsAt50, "constant scores": constant.precisionsAt50 },
      }),
      reliability: bins,
    };
  },
};

/** Labels and boxes of one image against each other; crowds are no truth here. */
function matchThings({ truth, answer }: Case<TrueBoxes, BoxAnswer>) {
  const things = truth.boxes.flatMap((box, i) =>
    truth.crowds?.[i] ? [] : [{ box, label: named(truth.labels[i]!) }],
  );
  const wanted = { boxes: things.map(({ box }) => box), labels: things.map(({ label }) => label) };
  const found = foundBoxes(answer);
  const pairs = matchBoxes(found, wanted, { labels: true });
  const right = new Set(pairs.map(([i]) => i));
  return {
    pairs: pairs.length,
    found: found.boxes.length,
    wanted: wanted.boxes.length,
    judged: answer.scores!.map((confidence, i) => ({ confidence, isRight: right.has(i) })),
  };
}

const denseCaptions: Measure<TrueBoxes, BoxAnswer> = {
  judge(cases) {
    const overlaps: number[] = [];
    const equalLabels: number[] = [];
    const judged = cases.flatMap(({ truth, answer }) => judge(answer.scores, rightBoxes(answer, truth)));
    const counts = cases.map(({ truth, answer }): PairCounts => {
      const found = foundBoxes(answer);
      const pairs = matchBoxes(found, truth, { labels: false });
      for (const [i, j] of pairs) {
        overlaps.push(boxOverlap(found.boxes[i]!, truth.boxes[j]!));
        equalLabels.push(found.labels[i] === named(truth.labels[j]!) ? 1 : 0);
      }
      return { pairs: pairs.length, found: found.boxes.length, wanted: truth.boxes.length };
    });
    return {
      figures: {
        "F1@0.5": precisionRecall(counts).f1,
        "mean IoU of pairs": mean(overlaps),
        "exact label of pairs": mean(equalLabels),
        ...calibration(judged).figures,
      },
      reliability: calibration(judged).bins,
      distribution: { name: "IoU of pairs", values: overlaps },
    };
  },
};

const proposals: Measure<TrueBoxes, BoxAnswer> = {
  judge(cases) {
    const counts = cases.map(
      ({ truth, answer }): PairCounts => ({
        pairs: matchBoxes(foundBoxes(answer), truth, { labels: false }).length,
        found: answer.bboxes.length,
        wanted: truth.boxes.length,
      }),
    );
    const { precision, recall, f1 } = precisionRecall(counts);
    return { figures: { "recall@0.5": recall, "precision@0.5": precision, "F1@0.5": f1 } };
  },
};

/** Phrases and their boxes; an answer in masks finds none. */
const phrases: Measure<TrueBoxes, BoxAnswer | AnswerOf<"<OPEN_VOCABULARY_DETECTION>">> = {
  judge(cases) {
    const judged = cases.flatMap(({ truth, answer }) => judge(answer.scores, rightBoxes(answer, truth)));
    const matched = cases.map(({ truth, answer }) => {
      const found = foundBoxes(answer);
      const wanted = { boxes: truth.boxes, labels: truth.labels.map(named) };
      const pairs = matchBoxes(found, wanted, { labels: true }).length;
      return {
        phrases: phrasesFound(found, wanted, THRESHOLD).map(Number),
        counts: { pairs, found: found.boxes.length, wanted: wanted.boxes.length },
      };
    });
    return {
      figures: {
        "accuracy@0.5": mean(matched.flatMap((own) => own.phrases)),
        "F1@0.5": precisionRecall(matched.map(({ counts }) => counts)).f1,
        ...calibration(judged).figures,
        ...presenceFigures(cases),
      },
      reliability: calibration(judged).bins,
    };
  },
};

const segmentation: Measure<TruePolygons, AnswerOf<"<REGION_TO_SEGMENTATION>">> = {
  judge(cases) {
    const overlaps = cases.map(({ truth, answer, size }) =>
      maskOverlap(rasterize(answer.polygons.flat(), size), rasterize(truth.polygons.flat(), size)),
    );
    return { figures: { "mean IoU": mean(overlaps) }, distribution: { name: "IoU", values: overlaps } };
  },
};

const readingWithRegions: Measure<TrueQuads, AnswerOf<"<OCR_WITH_REGION>">> = {
  judge(cases) {
    const texts: { truth: string; found: string }[] = [];
    const judged: Judged[] = [];
    const counts = cases.map(({ truth, answer }): PairCounts => {
      const { quad_boxes: quads, labels } = answer;
      const fits = (i: number, j: number) => quadOverlap(quads[i]!, truth.quads[j]!) >= THRESHOLD;
      const pairs = matchPairs(quads.length, truth.quads.length, fits);
      judged.push(
        ...judge(
          answer.scores,
          pairs.map(([i]) => i),
        ),
      );
      for (const [i, j] of pairs) texts.push({ truth: truth.labels[j]!, found: plainText(labels[i]!) });
      return { pairs: pairs.length, found: quads.length, wanted: truth.quads.length };
    });
    const { recall, f1 } = precisionRecall(counts);
    return {
      figures: {
        "quads found@0.5": recall,
        "F1@0.5": f1,
        "character error rate of pairs": characterErrorRate(texts),
        "exact text of pairs": mean(texts.map(({ truth, found }) => (truth === found ? 1 : 0))),
        ...calibration(judged).figures,
      },
      reliability: calibration(judged).bins,
    };
  },
};

const measures = {
  "<CAPTION>": captions,
  "<DETAILED_CAPTION>": captions,
  "<MORE_DETAILED_CAPTION>": captions,
  "<OCR>": reading,
  "<OCR_WITH_REGION>": readingWithRegions,
  "<OD>": detection,
  "<DENSE_REGION_CAPTION>": denseCaptions,
  "<REGION_PROPOSAL>": proposals,
  "<CAPTION_TO_PHRASE_GROUNDING>": phrases,
  "<REFERRING_EXPRESSION_SEGMENTATION>": segmentation,
  "<OPEN_VOCABULARY_DETECTION>": phrases,
  "<REGION_TO_SEGMENTATION>": segmentation,
  "<REGION_TO_CATEGORY>": category,
  "<REGION_TO_DESCRIPTION>": captions,
  "<REGION_TO_OCR>": reading,
} satisfies { [T in TaskToken]?: Measure<unknown, AnswerOf<T>> };

/** Any other task or prompt: answers in words as those of a free prompt, others by no figures. */
const byDefault: Measure = {
  judge(cases) {
    const areTexts = cases.every(({ answer }) => typeof answer === "string");
    return areTexts ? (freePrompt as Measure).judge(cases) : { figures: {} };
  },
};

/** How the answers to a task are judged. */
export function measureOf(task: string): Measure {
  return Object.hasOwn(measures, task) ? (measures[task as keyof typeof measures] as Measure) : byDefault;
}

function foundBoxes(answer: BoxAnswer | AnswerOf<"<OPEN_VOCABULARY_DETECTION>">): LabelledBoxes {
  const labels = "labels" in answer ? answer.labels : answer.bboxes_labels;
  return { boxes: answer.bboxes, labels: labels.map(named) };
}

/** Which boxes have a true one of their label at their place. */
function rightBoxes(answer: BoxAnswer | AnswerOf<"<OPEN_VOCABULARY_DETECTION>">, truth: TrueBoxes): number[] {
  const wanted = { boxes: truth.boxes, labels: truth.labels.map(named) };
  return matchBoxes(foundBoxes(answer), wanted, { labels: true }).map(([i]) => i);
}

/** The scores of an answer's places beside whether they are right. */
function judge(scores: readonly number[] = [], right: readonly number[]): Judged[] {
  const isRight = new Set(right);
  return scores.map((confidence, i) => ({ confidence, isRight: isRight.has(i) }));
}

/** How well the best confidence of each phrase tells those that are there from those that are not, where some are not. */
function presenceFigures(
  cases: readonly Case<TrueBoxes, BoxAnswer | AnswerOf<"<OPEN_VOCABULARY_DETECTION>">>[],
): Record<string, number> {
  const asked = cases.flatMap(({ truth, answer }) => {
    const { labels } = foundBoxes(answer);
    const ask = (phrase: string, isPresent: boolean) => {
      // An answer of open vocabulary is about its one phrase, whatever it calls it.
      const isOwn = (i: number) => !("labels" in answer) || labels[i] === named(phrase);
      const scores = (answer.scores ?? []).filter((_, i) => isOwn(i));
      return { confidence: Math.max(0, ...scores), isPresent };
    };
    return [
      ...[...new Set(truth.labels)].map((phrase) => ask(phrase, true)),
      ...(truth.absent ?? []).map((phrase) => ask(phrase, false)),
    ];
  });
  const { auroc, threshold, accuracy } = presence(asked);
  if (Number.isNaN(auroc)) return {};
  return { "AUROC of presence": auroc, "best threshold": threshold, "balanced accuracy": accuracy };
}

function calibration(judged: readonly Judged[]): { figures: Record<string, number>; bins: Bin[] } {
  const { bins, expectedCalibrationError } = reliability(judged);
  return { figures: { "expected calibration error": expectedCalibrationError }, bins };
}

function cocoBox([left, top, right, bottom]: readonly number[]): CocoBox {
  return [left!, top!, right! - left!, bottom! - top!];
}

function withSuffix(figures: CocoFigures, suffix: string): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [`${name}, ${suffix}`, value]));
}
