import type { AnswerOf } from "../model/tasks/index.ts";

/** Colours that stay apart from each other and from most pictures; one for each label, in turn. */
const COLOURS = [
  "#e6194b",
  "#3cb44b",
  "#4363d8",
  "#f58231",
  "#911eb4",
  "#008080",
  "#9a6324",
  "#800000",
  "#000075",
];

interface Mark {
  readonly label: string;
  /** x, y, x, y, ... in pixels; several outlines make one mark. */
  readonly outlines: readonly (readonly number[])[];
  readonly filled: boolean;
  readonly score: number | undefined;
}

/**
 * An answer as an SVG of the picture's size, to be laid over it: boxes, quads and polygons with their
 * labels and confidences. An answer in words alone gives an empty drawing.
 *
 * @param size of the picture as seen, in pixels: what the answer's coordinates refer to
 */
export function drawAnswer(
  answer: AnswerOf<string>,
  { width, height }: { width: number; height: number },
): string {
  const marks = marksOf(answer);
  const labels = [...new Set(marks.map(({ label }) => label))];
  const line = Math.max(1, Math.round(Math.max(width, height) / 300));
  const fontSize = Math.max(9, Math.round(Math.max(width, height) / 45));
  const drawn = marks.map((mark) =>
    drawMark(mark, COLOURS[labels.indexOf(mark.label) % COLOURS.length]!, line, fontSize),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    ...drawn,
    "</svg>",
  ].join("\n");
}

function marksOf(answer: AnswerOf<string>): Mark[] {
  if (typeof answer === "string") return [];
  const marks: Mark[] = [];
  if ("bboxes" in answer) {
    const labels = "labels" in answer ? answer.labels : answer.bboxes_labels;
    for (const [i, [x1, y1, x2, y2]] of answer.bboxes.entries()) {
      marks.push({
        label: labels[i] ?? "",
        outlines: [[x1!, y1!, x2!, y1!, x2!, y2!, x1!, y2!]],
        filled: false,
        score: answer.scores?.[i],
      });
    }
  }
  if ("quad_boxes" in answer) {
    for (const [i, quad] of answer.quad_boxes.entries()) {
      // Microsoft's parser leaves the start of the text in the first label.
      const label = (answer.labels[i] ?? "").replace("</s>", "");
      marks.push({ label, outlines: [quad], filled: false, score: answer.scores?.[i] });
    }
  }
  if ("polygons" in answer) {
    const labels = "polygons_labels" in answer ? answer.polygons_labels : answer.labels;
    const scores =
      "polygons_scores" in answer ? answer.polygons_scores : "bboxes" in answer ? undefined : answer.scores;
    for (const [i, outlines] of answer.polygons.entries()) {
      marks.push({ label: labels[i] ?? "", outlines, filled: true, score: scores?.[i] });
    }
  }
  return marks;
}

function drawMark(
  { label, outlines, filled, score }: Mark,
  colour: string,
  line: number,
  fontSize: number,
): string {
  const path = outlines.map((points) => `M${pairs(points).join("L")}Z`).join("");
  const fill = filled ? `fill="${colour}" fill-opacity="0.4" fill-rule="evenodd"` : `fill="none"`;
  const shape = `<path d="${path}" ${fill} stroke="${colour}" stroke-width="${line}"/>`;
  const text = [label, score === undefined ? "" : score.toFixed(2)].filter(Boolean).join(" ");
  const points = outlines.flat();
  if (!text || points.length < 2) return shape;
  const left = Math.min(...points.filter((_, i) => i % 2 === 0));
  const top = Math.max(0, Math.min(...points.filter((_, i) => i % 2 === 1)) - fontSize * 1.3);
  const width = Math.round(text.length * fontSize * 0.62 + fontSize * 0.4);
  return [
    shape,
    `<rect x="${left}" y="${top}" width="${width}" height="${fontSize * 1.3}" fill="${colour}"/>`,
    `<text x="${left + fontSize * 0.2}" y="${top + fontSize}" font-family="sans-serif" font-size="${fontSize}" fill="white">${escapeText(text)}</text>`,
  ].join("");
}

function pairs(points: readonly number[]): string[] {
  return points.flatMap((x, i) => (i % 2 === 0 ? [`${x} ${points[i + 1]}`] : []));
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
