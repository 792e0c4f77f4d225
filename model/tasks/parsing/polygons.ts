import type { ParseContext } from "../task.ts";
import { scoreOf } from "./confidence.ts";
import { type GeneratedText, removeTags } from "./generated_text.ts";
import { cleanLabel, labelOf } from "./labels.ts";
import { dequantizePoints, type Labels } from "./rules.ts";
import { bareRuns, type Phrase, POLYGON_TAGS, phrases, spanBefore, type Tag } from "./runs.ts";

/** Masks: each a list of outlines, each of which is x, y, x, y, ... in pixels. */
export type PolygonAnswer = {
  polygons: number[][][];
  /** One for each mask. */
  labels: string[];
  /** Confidence of each mask, 0 to 1, where the tokens' probabilities are known. */
  scores?: number[];
};

/** Masks without labels. */
export function parsePolygons(generated: GeneratedText, context: ParseContext): PolygonAnswer {
  return parseMasks(generated, context, (text) => bareRuns(text, POLYGON_TAGS));
}

/** Masks with descriptions. */
export function parseLabelledPolygons(generated: GeneratedText, context: ParseContext): PolygonAnswer {
  return parseMasks(generated, context, (text) => phrases(text, POLYGON_TAGS));
}

function parseMasks(
  generated: GeneratedText,
  { size, coordinates, labels, scores }: ParseContext,
  find: (text: string) => Phrase[],
): PolygonAnswer {
  const clean = removeTags(generated, ["<s>", "</s>", "<pad>"]);
  const answer: PolygonAnswer = { polygons: [], labels: [] };
  if (clean.tokens !== undefined) answer.scores = [];
  for (const phrase of find(clean.text)) {
    const label = maskLabel(phrase, labels);
    if (label === undefined) continue;
    for (const mask of masksOf(phrase.tags)) {
      const outlines = outlinesOf(mask);
      if (outlines.length === 0) continue;
      answer.polygons.push(
        outlines.map((outline) => {
          const bins = outline.map((tag) => tag.bin!);
          // An x without a y is dropped.
          return dequantizePoints(bins.slice(0, bins.length - (bins.length % 2)), size, coordinates);
        }),
      );
      answer.labels.push(labels === "clean" ? cleanLabel(phrase.between) : label);
      const scored = {
        tags: outlines.flat(),
        label: spanBefore(phrase.tags[0]!, phrase.text),
        isOutline: true,
      };
      answer.scores?.push(scoreOf(clean, scored, scores)!);
    }
  }
  return answer;
}

/** Where a label ends. Not at <sep> and </poly>: a run that begins with those has them for a label. */
const LABEL_END = /<od>|<\/od>|<box>|<\/box>|<bbox>|<\/bbox>|<loc_|<poly>/;

function maskLabel({ text, tags }: Phrase, labels: Labels): string | undefined {
  const whole = text + tags.map((tag) => tag.content).join("");
  // A run may have given up its first location (see `phrases`). Microsoft's processor drops the remains of
  // it; transformers' drops a whole first location instead.
  const source = whole.replace(labels === "transformers" ? /^<loc_\p{Nd}+>/u : /^loc_\p{Nd}+>/u, "");
  const end = source.search(LABEL_END);
  return end < 0 ? undefined : labelOf(source.slice(0, end));
}

/** Tags of each mask: those between <poly> and the next </poly>; all of them unless there are both. */
function masksOf(tags: readonly Tag[]): (readonly Tag[])[] {
  const contents = tags.map((tag) => tag.content);
  if (!contents.includes("<poly>") || !contents.includes("</poly>")) return [tags];
  const masks: (readonly Tag[])[] = [];
  let open = contents.indexOf("<poly>");
  let close = contents.indexOf("</poly>", open);
  while (open >= 0 && close >= 0) {
    masks.push(tags.slice(open + 1, close));
    open = contents.indexOf("<poly>", close);
    close = contents.indexOf("</poly>", open);
  }
  return masks;
}

/** Outlines of a mask: runs of locations that end at a <sep> or at the end of the mask. */
function outlinesOf(tags: readonly Tag[]): Tag[][] {
  const outlines: Tag[][] = [];
  let outline: Tag[] = [];
  const finish = () => {
    if (outline.length > 0) outlines.push(outline);
  };
  for (const tag of tags) {
    if (tag.bin !== undefined) {
      outline.push(tag);
      continue;
    }
    if (tag.content === "<sep>") finish();
    outline = [];
  }
  finish();
  return outlines;
}
