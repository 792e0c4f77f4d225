import { Florence2Error, quote } from "../core/errors.ts";
import {
  type Answer,
  type DetectedObject,
  type ImageSize,
  pixelBoxOf,
  type Region,
} from "../model/tasks/index.ts";
import { expectImageSize } from "../model/tasks/parsing/rules.ts";
import { type Label, PADDING, placeLabels, type Rectangle } from "./labels.ts";
import { type Mark, marksOf } from "./marks.ts";
import { LINE_HEIGHT, needsFont, point, STROKE, textPath, textWidth, wrapText } from "./stroke_font.ts";

export interface DrawOptions {
  /** The question, in words under the image, above the words of the answer. */
  readonly question?: string | undefined;
  /** The region of the question, in pixels of the image: a dashed box. */
  readonly region?: Region | undefined;
  /** Pixels of the drawing for one of the image, default 1: labels on a small image need more. */
  readonly scale?: number | undefined;
  /** Whether confidences stand behind the labels. Default false. */
  readonly scores?: boolean | undefined;
}

/** Colours of labels, in turn: far apart from each other, each dark enough for white letters. */
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

/** Sizes of everything drawn, in pixels of the drawing. */
interface Measures {
  /** Of the image as drawn. */
  readonly width: number;
  readonly height: number;
  readonly line: number;
  /** Height of a capital. */
  readonly letter: number;
}

/**
 * An answer as an SVG, to be laid over the image from its upper left corner: boxes and quads with their labels,
 * masks as translucent areas. Words go under the image, onto a white strip by which the drawing is higher than
 * it. Latin letters are paths, which need no font; lines with others are set in the viewer's.
 *
 *     const { objects, width, height } = await model.run("photo.jpg", "<OD>");
 *     const svg = drawAnswer(objects, { width, height });
 *
 * @param answer an answer of any task, or a result's objects
 * @param size of the image as seen, in pixels: what the answer's coordinates refer to
 * @throws {Florence2Error} `image_invalid` for a size that is none, `option_invalid` for a scale or a region that is none
 */
export function drawAnswer(
  answer: Answer | readonly DetectedObject[],
  size: ImageSize,
  options: DrawOptions = {},
): string {
  const { question = "", region, scale = 1, scores = false } = options;
  const measures = measure(drawnSize(size, scale));
  const marks = marksOf(answer).map((mark) => scaled(mark, scale));
  const colours = coloursOf(marks);
  const named = marks
    .map(({ label, score, outlines }, i) => ({
      text: [label.trim(), scores ? score?.toFixed(2) : undefined].filter(Boolean).join(" "),
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

/** Size of the image in the drawing, in whole pixels. */
export function drawnSize(size: ImageSize, scale = 1): { width: number; height: number } {
  expectImageSize(size);
  if (!(scale > 0 && Number.isFinite(scale))) {
    throw new Florence2Error("option_invalid", `scale is ${quote(scale)}, expected a number above 0`, {
      scale,
    });
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

/**
 * The colours of marks, as `#rrggbb`: equal labels have one; each mark without a label has its own.
 *
 *     coloursOf([{ label: "cat" }, { label: "dog" }, { label: "cat" }]) // ["#d4213d", "#1f5fd0", "#d4213d"]
 */
export function coloursOf(marks: readonly Pick<Mark, "label">[]): string[] {
  const keys = marks.map(({ label }, i) => label || i);
  const distinct = [...new Set(keys)];
  return keys.map((key) => COLOURS[distinct.indexOf(key) % COLOURS.length]!);
}

function boundsOf(points: readonly number[]): Rectangle {
  const [across, down] = [0, 1].map((axis) => points.filter((_, i) => i % 2 === axis));
  const [min, max] = [Math.min, Math.max].map((pick) => (all: number[]) => all.reduce((a, b) => pick(a, b)));
  const [left, top] = [min!(across!), min!(down!)];
  return { left, top, width: max!(across!) - left, height: max!(down!) - top };
}

/** A line with a light rim, visible on any background; the parts of a mask are one area. */
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

function drawRegion(region: Region, scale: number, { line }: Measures): string {
  const box = pixelBoxOf(region);
  if (box === undefined) {
    const message = `region is ${quote(region)}, expected [x1, y1, x2, y2] or { x1, y1, x2, y2 } in pixels`;
    throw new Florence2Error("option_invalid", message, { region });
  }
  const { x1, y1, x2, y2 } = box;
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

/** The question, and an answer in words below it. */
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
  const baseline = (i: number) => y + i * LINE_HEIGHT * letter;
  const paths = lines.map((line, i) => (needsFont(line) ? "" : textPath(line, x, baseline(i), letter)));
  const texts = lines.map((line, i) =>
    needsFont(line) ? fontText(line, x, baseline(i), letter, colour) : "",
  );
  return stroke(paths.join(""), colour, STROKE * letter) + texts.join("");
}

/** Capitals of common fonts have about this share of the font's size. */
const CAPITAL_HEIGHT = 0.72;

/** A line in a font of the viewer, as wide as its letters were counted. */
function fontText(line: string, x: number, y: number, letter: number, colour: string): string {
  const [left, baseline] = point(x, y).split(" ");
  const size = Number((letter / CAPITAL_HEIGHT).toFixed(2));
  const width = Number(textWidth(line, letter).toFixed(2));
  return `<text x="${left}" y="${baseline}" fill="${colour}" font-family="sans-serif" font-size="${size}" textLength="${width}" lengthAdjust="spacingAndGlyphs">${escapeText(line)}</text>`;
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
