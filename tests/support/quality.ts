/** How good answers are, as far as the bundled checkpoint's bars need it. */

export interface Detection {
  readonly picture: number;
  readonly label: string;
  /** x1, y1, x2, y2 in pixels. */
  readonly box: readonly number[];
  readonly score: number;
}

/**
 * Mean over labels of the average precision at one IoU threshold: detections in order of their score, each
 * matched to the best free box of its picture; precision made monotonous and averaged over 101 recalls
 * (COCO's interpolation).
 */
export function meanAveragePrecision(
  found: readonly Detection[],
  truth: readonly Omit<Detection, "score">[],
  threshold = 0.5,
): number {
  const labels = [...new Set(truth.map(({ label }) => label))];
  const precisions = labels.map((label) => {
    const own = truth.filter((box) => box.label === label);
    const free = new Set(own);
    const hits = found
      .filter((detection) => detection.label === label)
      .sort((a, b) => b.score - a.score)
      .map(({ picture, box }) => {
        const candidates = [...free].filter((other) => other.picture === picture);
        const [best] = candidates.sort((a, b) => overlap(box, b.box) - overlap(box, a.box));
        if (!best || overlap(box, best.box) < threshold) return false;
        return free.delete(best);
      });
    return averagePrecision(hits, own.length);
  });
  return mean(precisions);
}

function averagePrecision(hits: readonly boolean[], total: number): number {
  let right = 0;
  const points = hits.map((hit, i) => {
    if (hit) right++;
    return { recall: right / total, precision: right / (i + 1) };
  });
  const recalls = Array.from({ length: 101 }, (_, i) => i / 100);
  return mean(
    recalls.map((recall) =>
      points.reduce((best, point) => (point.recall >= recall ? Math.max(best, point.precision) : best), 0),
    ),
  );
}

/** Intersection over union. */
export function overlap(a: readonly number[], b: readonly number[]): number {
  const width = Math.min(a[2]!, b[2]!) - Math.max(a[0]!, b[0]!);
  const height = Math.min(a[3]!, b[3]!) - Math.max(a[1]!, b[1]!);
  const shared = Math.max(width, 0) * Math.max(height, 0);
  const area = (box: readonly number[]) => (box[2]! - box[0]!) * (box[3]! - box[1]!);
  return shared / (area(a) + area(b) - shared);
}

/** Edits (insert, delete, replace one character) that turn one text into another (Levenshtein). */
export function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(replaced, previous[j]! + 1, current[j - 1]! + 1));
    }
    previous = current;
  }
  return previous[b.length]!;
}

export const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
