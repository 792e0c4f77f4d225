import { Florence2Error } from "../core/errors.ts";
import type { Answer, ImageSize, PixelBox } from "../model/tasks/index.ts";
import { expectImageSize } from "../model/tasks/parsing/locations.ts";
import { type Label, PADDING, placeLabels, type Rectangle } from "./labels.ts";
import { type Mark, marksOf } from "./marks.ts";
import { LINE_HEIGHT, point, STROKE, textPath, wrapText } from "./stroke_font.ts";

export interface DrawOptions {
  /** Words under the picture, above the answer's own: what was asked. */
  readonly question?: string;
  /** What was asked about, in pixels of the picture: a dashed box. */
  readonly region?: PixelBox;
  /** Pixels of the drawing for one of the picture, default 1: labels on a small picture need more. */
  readonly scale?: number;
}

/** Far apart from each other, each dark enough for white letters; one for each label, in turn. */
export const COLOURS = [
  "#d4213d",
  "#1f5fd0",
  "#1a7f37",
  "#8031b5",
  "#b34700",
  "#0a7583",
  "#c2187a",
  "#6b6000",
  "#4b4f6b",
  "#7a3b1d",
];
const INK = "#1c1f26";
const PALE_INK = "#6a7080";

/** Widths and heights of everything drawn, in pixels of the drawing. */
interface Measures {
  /** Of the picture as drawn. */
  readonly width: number;
  readonly height: number;
  readonly line: number;
  /** Height of a capital. */
  readonly letter: number;
}

/**
 * An answer as an SVG, to be laid over the picture from its upper left corner: boxes and quads with their
 * labels and confidences, masks as translucent areas. Words go under the picture, onto a white strip by which
 * the drawing is higher than it. Letters are paths: no font is needed.
 *
 * @param size of the picture as seen, in pixels: what the answer's coordinates refer to
 * @throws {Florence2Error} `image_invalid` for a size that is none, `option_invalid` for a scale that is none
 */
export function drawAnswer(answer: Answer, size: ImageSize, options: DrawOptions = {}): string {
  const { question = "", region, scale = 1 } = options;
  const measures = measure(drawnSize(size, scale));
  const marks = marksOf(answer).map((mark) => scaled(mark, scale));
  const colours = coloursOf(marks);
  const named = marks
    .map(({ label, score, outlines }, i) => ({
      text: [label.trim(), score?.toFixed(2)].filter(Boolean).join(" "),
      place: boundsOf(outlines.flat()),
      colour: colours[i]!,
    }))
    .filter(({ text }) => text !== "");
  const labels = placeLabels(named, measures, measures.letter);
  const strip = drawStrip(question, typeof answer === "string" ? answer : "", measures);
  const [width, height] = [measures.width, measures.height + strip.height];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" stroke-linecap="round" stroke-linejoin="round">`,
    ...marks.map((mark, i) => drawMark(mark, colours[i]!, measures)),
    ...(region ? [drawRegion(region, scale, measures)] : []),
    ...labels.map((label, i) => drawLabel(label, named[i]!, measures)),
    strip.svg,
    "</svg>",
  ].join("\n");
}

/** Size of the picture in the drawing, in whole pixels. */
export function drawnSize(size: ImageSize, scale = 1): { width: number; height: number } {
  expectImageSize(size);
  if (!(scale > 0 && Number.isFinite(scale))) {
    throw new Florence2Error("option_invalid", `scale is ${scale}, expected a number above 0`, { scale });
  }
  const drawn = (side: number) => Math.max(1, Math.round(side * scale));
  return { width: drawn(size.width), height: drawn(size.height) };
}

function measure({ width, height }: ImageSize): Measures {
  const longer = Math.max(width, height);
  const letter = Math.min(Math.max(8, longer / 75), Math.min(width, height) / 8);
  return { width, height, line: Math.max(2, longer / 350), letter };
}

function scaled(mark: Mark, scale: number): Mark {
  return { ...mark, outlines: mark.outlines.map((points) => points.map((value) => value * scale)) };
}

/** Marks without a label are each of a colour of their own. */
function coloursOf(marks: readonly Mark[]): string[] {
  const keys = marks.map(({ label }, i) => label || i);
  const distinct = [...new Set(keys)];
  return keys.map((key) => COLOURS[distinct.indexOf(key) % COLOURS.length]!);
}

function boundsOf(points: readonly number[]): Rectangle {
  const [across, down] = [0, 1].map((axis) => points.filter((_, i) => i % 2 === axis));
  const [left, top] = [Math.min(...across!), Math.min(...down!)];
  return { left, top, width: Math.max(...across!) - left, height: Math.max(...down!) - top };
}

/** A line with a light rim, so that it stands out on any ground; the parts of a mask are one area. */
function drawMark({ kind, outlines }: Mark, colour: string, { line }: Measures): string {
  const paths = outlines.map(outlinePath);
  const area = paths.map((path) => `<path d="${path}"/>`).join("");
  const all = paths.join("");
  return [
    kind === "mask" ? `<g fill="${colour}" opacity="0.45">${area}</g>` : "",
    stroke(all, "#fff", 1.8 * line, 'stroke-opacity="0.8"'),
    stroke(all, colour, line),
  ].join("");
}

function drawRegion({ x1, y1, x2, y2 }: PixelBox, scale: number, { line }: Measures): string {
  const path = outlinePath([x1, y1, x2, y1, x2, y2, x1, y2].map((value) => value * scale));
  return (
    stroke(path, "#fff", 2 * line) + stroke(path, INK, line, `stroke-dasharray="${3 * line} ${3 * line}"`)
  );
}

function drawLabel(
  { left, top, width, height, lines }: Label,
  { text, colour }: { text: string; colour: string },
  { letter }: Measures,
): string {
  const [x, y] = point(left, top).split(" ");
  const [w, h] = point(width, height).split(" ");
  const chip = `<rect x="${x}" y="${y}" width="${w}" height="${h}" rx="${letter / 3}" fill="${colour}" stroke="#fff" stroke-opacity="0.8"/>`;
  const words = writeLines(lines, left + PADDING * letter, top + (1 + PADDING) * letter, letter, "#fff");
  return `<g><title>${escapeText(text)}</title>${chip}${words}</g>`;
}

/** What was asked, and an answer in words below it. */
function drawStrip(
  question: string,
  words: string,
  { width, height, letter }: Measures,
): { svg: string; height: number } {
  const room = width - 2 * letter;
  const [asked, said] = [question, words].map((text) => wrapText(text, letter, room));
  const count = asked!.length + said!.length;
  if (count === 0) return { svg: "", height: 0 };
  const step = LINE_HEIGHT * letter;
  const first = height + 2 * letter;
  const below = Math.ceil((count - 1) * step + 3.3 * letter);
  const svg = [
    `<g><title>${escapeText([question, words].filter(Boolean).join("\n"))}</title>`,
    `<rect y="${height}" width="${width}" height="${below}" fill="#fff"/>`,
    writeLines(asked!, letter, first, letter, PALE_INK),
    writeLines(said!, letter, first + asked!.length * step, letter, INK),
    "</g>",
  ];
  return { svg: svg.join(""), height: below };
}

/** Lines of text, the first with its left end at x and its baseline at y. */
function writeLines(lines: readonly string[], x: number, y: number, letter: number, colour: string): string {
  const paths = lines.map((line, i) => textPath(line, x, y + i * LINE_HEIGHT * letter, letter));
  return stroke(paths.join(""), colour, STROKE * letter);
}

function outlinePath(points: readonly number[]): string {
  const corners = points.flatMap((x, i) => (i % 2 === 0 ? [point(x, points[i + 1]!)] : []));
  return `M${corners.join("L")}Z`;
}

function stroke(path: string, colour: string, width: number, attributes = ""): string {
  return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="${width}" ${attributes}/>`;
}

/** Text for XML, which has no way to write control characters. */
function escapeText(text: string): string {
  return text
    .replace(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
}
