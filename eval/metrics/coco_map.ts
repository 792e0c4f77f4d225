import { mean } from "./mean.ts";

/** COCO's form of a box: left, top, width, height in pixels. */
export type CocoBox = readonly [number, number, number, number];

export interface CocoTruth {
  /** Images count in the order of these numbers, which decides between equal scores. */
  readonly image: number;
  readonly category: string;
  readonly box: CocoBox;
  /** In square pixels, of the outline where there is one; by default the box's own. */
  readonly area?: number;
  /** A group of things: takes any number of detections, and missing it costs nothing. */
  readonly isCrowd?: boolean;
}

export interface CocoDetection {
  readonly image: number;
  readonly category: string;
  readonly box: CocoBox;
  readonly score: number;
}

/** COCO's twelve numbers by their usual names; NaN where there was nothing to measure. */
export interface CocoFigures {
  readonly AP: number;
  readonly AP50: number;
  readonly AP75: number;
  readonly APs: number;
  readonly APm: number;
  readonly APl: number;
  readonly AR1: number;
  readonly AR10: number;
  readonly AR100: number;
  readonly ARs: number;
  readonly ARm: number;
  readonly ARl: number;
}

/** IoU 0.50 to 0.95, computed as numpy.linspace does, so that an IoU of exactly 0.6 falls on the same side. */
const THRESHOLDS = Array.from({ length: 10 }, (_, i) => (i === 9 ? 0.95 : 0.5 + i * ((0.95 - 0.5) / 9)));
const RECALLS = Array.from({ length: 101 }, (_, i) => i * 0.01);
const AREAS = {
  all: [0, 1e10],
  small: [0, 32 ** 2],
  medium: [32 ** 2, 96 ** 2],
  large: [96 ** 2, 1e10],
} as const;
type AreaName = keyof typeof AREAS;
/** Detections of a category that count in an image, best first. */
const MAX_DETECTIONS = [1, 10, 100] as const;

/** One category in one image. */
interface Group {
  /** Best first. */
  readonly detections: readonly CocoDetection[];
  readonly truths: readonly CocoTruth[];
  /** [detection][truth]. */
  readonly overlaps: readonly (readonly number[])[];
}

/** The matches of a group's detections at one threshold. */
type Verdict = "right" | "wrong" | "ignored";

interface Curve {
  /** Share of the truth that was found. */
  readonly recall: number;
  /** The best precision at no less than each of 101 recalls. */
  readonly precisions: readonly number[];
}

/**
 * COCO's detection score, as pycocotools' COCOeval computes it for boxes: averages over 10 IoU thresholds,
 * 101 recalls and the categories that occur in the truth.
 *
 * @returns the twelve numbers, and the precision at 101 recalls for IoU 0.5, mean over the categories
 */
export function cocoFigures(
  truths: readonly CocoTruth[],
  detections: readonly CocoDetection[],
): { figures: CocoFigures; precisionsAt50: number[] } {
  const categories = groupsByCategory(truths, detections);
  const curves = (area: AreaName, max: number): Curve[][] =>
    categories.map((groups) => categoryCurves(groups, area, max)).filter((own) => own !== undefined);
  const all = curves("all", 100);
  const ofArea = { small: curves("small", 100), medium: curves("medium", 100), large: curves("large", 100) };
  const at = (threshold: number) => all.map((own) => [own[threshold]!]);
  return {
    figures: {
      AP: averagePrecision(all),
      AP50: averagePrecision(at(0)),
      AP75: averagePrecision(at(5)),
      APs: averagePrecision(ofArea.small),
      APm: averagePrecision(ofArea.medium),
      APl: averagePrecision(ofArea.large),
      AR1: averageRecall(curves("all", MAX_DETECTIONS[0])),
      AR10: averageRecall(curves("all", MAX_DETECTIONS[1])),
      AR100: averageRecall(all),
      ARs: averageRecall(ofArea.small),
      ARm: averageRecall(ofArea.medium),
      ARl: averageRecall(ofArea.large),
    },
    precisionsAt50: RECALLS.map((_, i) => mean(all.map((own) => own[0]!.precisions[i]!))),
  };
}

function averagePrecision(curves: readonly (readonly Curve[])[]): number {
  return mean(curves.flat().flatMap(({ precisions }) => precisions));
}

function averageRecall(curves: readonly (readonly Curve[])[]): number {
  return mean(curves.flat().map(({ recall }) => recall));
}

/** For each category of the truth its images, in order. */
function groupsByCategory(truths: readonly CocoTruth[], detections: readonly CocoDetection[]): Group[][] {
  type Found = { truths: CocoTruth[]; detections: CocoDetection[] };
  const categories = new Map<string, Map<number, Found>>();
  const groupOf = (images: Map<number, Found>, image: number): Found => {
    const group = images.get(image) ?? { truths: [], detections: [] };
    images.set(image, group);
    return group;
  };
  for (const truth of truths) {
    const images = categories.get(truth.category) ?? new Map<number, Found>();
    categories.set(truth.category, images);
    groupOf(images, truth.image).truths.push(truth);
  }
  for (const detection of detections) {
    const images = categories.get(detection.category);
    if (images) groupOf(images, detection.image).detections.push(detection);
  }
  return [...categories.values()].map((images) =>
    [...images]
      .sort(([a], [b]) => a - b)
      .map(([, { truths, detections }]) => {
        const best = detections.sort((a, b) => b.score - a.score).slice(0, MAX_DETECTIONS.at(-1));
        const overlaps = best.map(({ box }) => truths.map((truth) => overlap(box, truth)));
        return { truths, detections: best, overlaps };
      }),
  );
}

/** IoU; with a crowd, the share of the detection that lies in it. */
function overlap([x, y, width, height]: CocoBox, { box, isCrowd }: CocoTruth): number {
  const [trueX, trueY, trueWidth, trueHeight] = box;
  const sharedWidth = Math.min(x + width, trueX + trueWidth) - Math.max(x, trueX);
  const sharedHeight = Math.min(y + height, trueY + trueHeight) - Math.max(y, trueY);
  if (sharedWidth <= 0 || sharedHeight <= 0) return 0;
  const shared = sharedWidth * sharedHeight;
  return shared / (isCrowd ? width * height : width * height + trueWidth * trueHeight - shared);
}

/** One curve for each threshold; none where the category has no truth of this size. */
function categoryCurves(groups: readonly Group[], area: AreaName, max: number): Curve[] | undefined {
  const isOutside = (size: number) => size < AREAS[area][0] || size > AREAS[area][1];
  let wanted = 0;
  const ranked: { score: number; verdicts: Verdict[] }[] = [];
  for (const { truths, detections, overlaps } of groups) {
    const isIgnored = truths.map(
      ({ box, area = box[2] * box[3], isCrowd = false }) => isCrowd || isOutside(area),
    );
    wanted += isIgnored.filter((ignored) => !ignored).length;
    const counted = detections.slice(0, max);
    const verdicts = THRESHOLDS.map((threshold) =>
      judge(counted, truths, isIgnored, overlaps, threshold, isOutside),
    );
    for (const [d, { score }] of counted.entries()) {
      ranked.push({ score, verdicts: verdicts.map((own) => own[d]!) });
    }
  }
  if (wanted === 0) return undefined;
  ranked.sort((a, b) => b.score - a.score);
  return THRESHOLDS.map((_, t) =>
    curveOf(
      ranked.map(({ verdicts }) => verdicts[t]!),
      wanted,
    ),
  );
}

/** Each detection, best first, takes the free truth that it overlaps most; ignored ones only at need. */
function judge(
  detections: readonly CocoDetection[],
  truths: readonly CocoTruth[],
  isIgnored: readonly boolean[],
  overlaps: Group["overlaps"],
  threshold: number,
  isOutside: (area: number) => boolean,
): Verdict[] {
  const ignoredLast = [...truths.keys()].sort((a, b) => Number(isIgnored[a]) - Number(isIgnored[b]));
  const taken = new Set<number>();
  return detections.map(({ box }, d) => {
    let best: number | undefined;
    let bestOverlap = Math.min(threshold, 1 - 1e-10);
    for (const g of ignoredLast) {
      if (taken.has(g) && !truths[g]!.isCrowd) continue;
      if (best !== undefined && !isIgnored[best] && isIgnored[g]) break;
      if (overlaps[d]![g]! < bestOverlap) continue;
      bestOverlap = overlaps[d]![g]!;
      best = g;
    }
    if (best === undefined) return isOutside(box[2] * box[3]) ? "ignored" : "wrong";
    taken.add(best);
    return isIgnored[best] ? "ignored" : "right";
  });
}

function curveOf(verdicts: readonly Verdict[], wanted: number): Curve {
  const points: { recall: number; precision: number }[] = [];
  let [right, wrong] = [0, 0];
  for (const verdict of verdicts) {
    if (verdict === "ignored") continue;
    if (verdict === "right") right++;
    else wrong++;
    points.push({ recall: right / wanted, precision: right / (right + wrong + Number.EPSILON) });
  }
  for (let i = points.length - 2; i >= 0; i--) {
    points[i]!.precision = Math.max(points[i]!.precision, points[i + 1]!.precision);
  }
  let i = 0;
  const precisions = RECALLS.map((recall) => {
    while (i < points.length && points[i]!.recall < recall) i++;
    return points[i]?.precision ?? 0;
  });
  return { recall: points.at(-1)?.recall ?? 0, precisions };
}
