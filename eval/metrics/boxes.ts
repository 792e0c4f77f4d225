import { boxOverlap } from "../../datasets/geometry/boxes.ts";
import type { LabelledBoxes } from "../../datasets/truth/truth.ts";
import { matchPairs } from "./matching.ts";

/**
 * Pairs of found and true boxes of one image with an IoU of at least `threshold`, as many as there can be.
 *
 * @param labels whether the labels of a pair have to be equal
 */
export function matchBoxes(
  found: LabelledBoxes,
  truth: LabelledBoxes,
  { labels, threshold = 0.5 }: { readonly labels: boolean; readonly threshold?: number },
): [found: number, truth: number][] {
  return matchPairs(
    found.boxes.length,
    truth.boxes.length,
    (i, j) =>
      (!labels || found.labels[i] === truth.labels[j]) &&
      boxOverlap(found.boxes[i]!, truth.boxes[j]!) >= threshold,
  );
}

/**
 * Which phrases were found: for each different label of the truth, whether the first box under that label
 * has an IoU of at least `threshold` with any of the label's true boxes. With one phrase and one box this is
 * the accuracy of referring expressions (RefCOCO), with many Flickr30k's R@1 in its any-box protocol.
 */
export function phrasesFound(found: LabelledBoxes, truth: LabelledBoxes, threshold = 0.5): boolean[] {
  return [...new Set(truth.labels)].map((label) => {
    const first = found.boxes[found.labels.indexOf(label)];
    return (
      first !== undefined &&
      truth.boxes.some((box, i) => truth.labels[i] === label && boxOverlap(first, box) >= threshold)
    );
  });
}
