import { type Box, boxOverlap } from "./boxes.ts";

/** Which boxes compete: those of one label, all, or none. */
export type Suppression = "class" | "agnostic" | "none";

interface Candidate {
  readonly box: Box;
  readonly label: string;
  /** 0 to 1; without one, 1. */
  readonly score?: number;
}

/**
 * Non-maximum suppression: going from the best score down, drops every box that overlaps a kept one by more than
 * `iou`. Keeps and drops what `torchvision.ops.nms` and `batched_nms` do; of equal scores the first is better.
 *
 * @returns what is kept, best first
 * @example suppress([{ box: [0, 0, 2, 2], label: "cat", score: 0.9 }, { box: [0, 0, 2, 2], label: "cat", score: 0.8 }])
 *   // the first one
 */
export function suppress<T extends Candidate>(
  candidates: readonly T[],
  iou = 0.5,
  mode: Suppression = "class",
): T[] {
  if (mode === "none") return [...candidates];
  const ranked = candidates.map((candidate, i) => ({ candidate, i }));
  ranked.sort((a, b) => (b.candidate.score ?? 1) - (a.candidate.score ?? 1) || a.i - b.i);
  const kept: T[] = [];
  for (const { candidate } of ranked) {
    const isCovered = kept.some(
      (better) =>
        (mode === "agnostic" || better.label === candidate.label) &&
        boxOverlap(better.box, candidate.box) > iou,
    );
    if (!isCovered) kept.push(candidate);
  }
  return kept;
}
