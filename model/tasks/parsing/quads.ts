import type { ParseContext } from "../task.ts";
import { scoreOf } from "./confidence.ts";
import { type GeneratedText, removeTags } from "./generated_text.ts";
import { plainText } from "./labels.ts";
import { dequantizePoints, type Labels } from "./rules.ts";
import { LOCATION_TAGS, spanBefore, type Tag, tagRuns } from "./runs.ts";
import { strip } from "./white_space.ts";

/** Lines of text with four corners in pixels: x and y of the upper left one first, clockwise. */
export type QuadAnswer = {
  quad_boxes: number[][];
  labels: string[];
  /** Confidence of each quad, 0 to 1, where the tokens' probabilities are known. */
  scores?: number[];
};

const CORNERS = 8;

const rewrite: Readonly<Record<Labels, (label: string) => string>> = {
  clean: (label) => plainText(label),
  microsoft: (label) => label,
  transformers: strip,
};

/** Lines of text: anything on one line, then eight locations. */
export function parseQuads(
  generated: GeneratedText,
  { size, coordinates, labels, scores }: ParseContext,
): QuadAnswer {
  // Microsoft's processor leaves </s> in: the decoder's start token is part of the first label.
  const clean = removeTags(generated, labels === "transformers" ? ["<s>", "</s>", "<pad>"] : ["<s>"]);
  const answer: QuadAnswer = { quad_boxes: [], labels: [] };
  if (clean.tokens !== undefined) answer.scores = [];
  for (const { label, corners } of findQuads(clean.text)) {
    const bins = corners.map((tag) => tag.bin!);
    answer.quad_boxes.push(dequantizePoints(bins, size, coordinates));
    answer.labels.push(rewrite[labels](label));
    answer.scores?.push(scoreOf(clean, { tags: corners, label: spanBefore(corners[0]!, label) }, scores)!);
  }
  return answer;
}

/**
 * The processors' pattern: the fewest characters of one line, at least one, and eight locations. Surplus and
 * missing locations belong to the next label.
 */
function findQuads(text: string): { label: string; corners: Tag[] }[] {
  const found: { label: string; corners: Tag[] }[] = [];
  let labelStart = 0;
  let runEnd = 0;
  for (const run of tagRuns(text, LOCATION_TAGS)) {
    const between = text.slice(runEnd, run[0]!.start);
    if (between.includes("\n")) labelStart = runEnd + between.lastIndexOf("\n") + 1;
    runEnd = run.at(-1)!.end;
    let next = 0;
    while (next < run.length) {
      // A label cannot be empty: with nothing before them, the first of the locations becomes it.
      if (run[next]!.start === labelStart) next++;
      const corners = run.slice(next, next + CORNERS);
      if (corners.length < CORNERS) break;
      found.push({ label: text.slice(labelStart, corners[0]!.start), corners });
      labelStart = corners.at(-1)!.end;
      next += CORNERS;
    }
  }
  return found;
}
