/** Text with its place in the page: hOCR 1.2, ALTO 4.4 and PAGE 2019-07-15. */

import { boundsOf } from "../../geometry/boxes.ts";
import type { LabelledImage } from "../../labelled.ts";
import { linesOf, type TextLine, wordsOf } from "../../reading_order.ts";
import { element, escapeXml } from "../../shared/xml.ts";
import { rounded } from "../format.ts";
import { eachImage } from "./each_image.ts";

export const hocr = eachImage("hocr", "hOCR 1.2", ".hocr", writeHocr);
export const alto = eachImage("alto", "ALTO 4.4", ".alto.xml", writeAlto);
export const page = eachImage("page", "PAGE 2019-07-15, quads as they are", ".page.xml", writePage);

const XML = '<?xml version="1.0" encoding="UTF-8"?>\n';
const SYSTEM = "florence2-webgpu";
/** PAGE wants dates; a fixed one keeps files the same from run to run. */
const NO_DATE = "1970-01-01T00:00:00";

/** XHTML. Boxes of words are shares of their line's. */
export function writeHocr(image: LabelledImage): string {
  const lines = linesOf(image);
  const pageTitle = `image ${quoted(image.file)}; bbox 0 0 ${image.width} ${image.height}; ppageno 0`;
  const area = lines.length > 0 ? bbox(boundsOf(lines.flatMap(({ quad }) => [...quad]))) : "";
  const body = lines.map((line, i) => {
    const words = wordsOf(line).map((word, k) => {
      const title = `${bbox(word.box)}; x_wconf ${percent(line)}`;
      return element(
        "span",
        { class: "ocrx_word", id: `word_1_${i + 1}_${k + 1}`, title },
        escapeXml(word.text),
      );
    });
    const title = `${bbox(line.box)}; baseline ${baseline(line)}`;
    return `     ${element("span", { class: "ocr_line", id: `line_1_${i + 1}`, title }, words.join(" "))}\n`;
  });
  const paragraph = element("p", { class: "ocr_par", id: "par_1_1", title: area }, "\n", ...body, "    ");
  const block = `   ${element("div", { class: "ocr_carea", id: "block_1_1", title: area }, "\n    ", paragraph, "\n   ")}\n`;
  return [
    XML,
    '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n',
    '<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">\n <head>\n',
    `  <title>${escapeXml(image.file)}</title>\n`,
    '  <meta http-equiv="Content-Type" content="text/html; charset=utf-8"/>\n',
    `  <meta name="ocr-system" content="${SYSTEM}"/>\n`,
    '  <meta name="ocr-capabilities" content="ocr_page ocr_carea ocr_par ocr_line ocrx_word"/>\n',
    " </head>\n <body>\n",
    `  ${element("div", { class: "ocr_page", id: "page_1", title: pageTitle }, "\n", ...(lines.length > 0 ? [block] : []), "  ")}\n`,
    " </body>\n</html>\n",
  ].join("");
}

/** Boxes of words are shares of their line's; quads are shapes of lines. */
export function writeAlto(image: LabelledImage): string {
  const lines = linesOf(image);
  const pageSize = { WIDTH: image.width, HEIGHT: image.height };
  const textLines = lines.map((line, i) => {
    const shape = element("Shape", {}, element("Polygon", { POINTS: pointPairs(line.quad, " ") }));
    const words = wordsOf(line).map((word, k) => {
      const wc = line.score === undefined ? undefined : rounded(line.score, 4);
      return element("String", {
        ID: `string_${i + 1}_${k + 1}`,
        ...altoBox(word.box),
        CONTENT: word.text,
        WC: wc,
      });
    });
    return `          ${element("TextLine", { ID: `line_${i + 1}`, ...altoBox(line.box) }, shape, words.join("<SP/>"))}\n`;
  });
  const block = element(
    "TextBlock",
    { ID: "block_1", ...altoBox(boundsOf(lines.flatMap(({ quad }) => [...quad]))) },
    "\n",
    ...textLines,
    "        ",
  );
  return [
    XML,
    '<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://www.loc.gov/standards/alto/ns-v4# http://www.loc.gov/standards/alto/v4/alto-4-4.xsd">\n',
    "  <Description>\n    <MeasurementUnit>pixel</MeasurementUnit>\n",
    `    <sourceImageInformation>${element("fileName", {}, escapeXml(image.file))}</sourceImageInformation>\n`,
    `    <OCRProcessing ID="ocr"><ocrProcessingStep><processingSoftware><softwareName>${SYSTEM}</softwareName></processingSoftware></ocrProcessingStep></OCRProcessing>\n`,
    "  </Description>\n  <Layout>\n",
    `    ${element("Page", { ID: "page_1", PHYSICAL_IMG_NR: 1, ...pageSize }, "\n      ", element("PrintSpace", { HPOS: 0, VPOS: 0, ...pageSize }, "\n", ...(lines.length > 0 ? [`        ${block}\n`] : []), "      "), "\n    ")}\n`,
    "  </Layout>\n</alto>\n",
  ].join("");
}

/** Lines with their quads and confidences; words are not told apart. */
export function writePage(image: LabelledImage): string {
  const lines = linesOf(image);
  const inside = (points: readonly number[]) =>
    pointPairs(
      points.map((value) => Math.max(0, value)),
      " ",
    );
  const textLines = lines.map((line, i) =>
    element(
      "TextLine",
      { id: `line_${i + 1}` },
      element("Coords", { points: inside(line.quad) }),
      element("Baseline", { points: inside([...line.quad.slice(6, 8), ...line.quad.slice(4, 6)]) }),
      element(
        "TextEquiv",
        { conf: line.score === undefined ? undefined : rounded(line.score, 4) },
        element("Unicode", {}, escapeXml(line.text)),
      ),
    ),
  );
  const all = lines.flatMap(({ quad }) => [...quad]);
  const [left, top, right, bottom] = boundsOf(all);
  const region = () =>
    element(
      "TextRegion",
      { id: "region_1", type: "paragraph" },
      element("Coords", { points: inside([left, top, right, top, right, bottom, left, bottom]) }),
      "\n",
      ...textLines.map((line) => `      ${line}\n`),
      "    ",
    );
  const attributes = { imageFilename: image.file, imageWidth: image.width, imageHeight: image.height };
  return [
    XML,
    '<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">\n',
    `  <Metadata><Creator>${SYSTEM}</Creator><Created>${NO_DATE}</Created><LastChange>${NO_DATE}</LastChange></Metadata>\n`,
    `  ${element("Page", attributes, "\n", ...(lines.length > 0 ? [`    ${region()}\n`] : []), "  ")}\n`,
    "</PcGts>\n",
  ].join("");
}

/** hOCR's box: whole pixels. */
function bbox([left, top, right, bottom]: readonly number[]): string {
  return `bbox ${Math.floor(left!)} ${Math.floor(top!)} ${Math.ceil(right!)} ${Math.ceil(bottom!)}`;
}

/** hOCR's baseline: slope of the lower edge, and its distance from the bottom of the box at the left. */
function baseline({ quad, box }: TextLine): string {
  const [right, below, left, start] = quad.slice(4) as [number, number, number, number];
  const slope = right === left ? 0 : (below - start) / (right - left);
  return `${rounded(slope, 3)} ${Math.round(start - box[3])}`;
}

function altoBox([left, top, right, bottom]: readonly number[]) {
  const [x, y] = [Math.floor(left!), Math.floor(top!)];
  return { HPOS: x, VPOS: y, WIDTH: Math.ceil(right!) - x, HEIGHT: Math.ceil(bottom!) - y };
}

/** Whole pixels: "x,y x,y". */
function pointPairs(points: readonly number[], separator: string): string {
  const pairs = points.flatMap((x, i) =>
    i % 2 === 0 ? [`${Math.round(x)},${Math.round(points[i + 1]!)}`] : [],
  );
  return pairs.join(separator);
}

const percent = ({ score = 1 }: TextLine) => Math.round(100 * score);

/** hOCR sets file names in quotes, which cannot be part of them. */
function quoted(text: string): string {
  return `"${text.replaceAll('"', "'")}"`;
}
