/** The text that was read, with little or no layout: plain text, Markdown, TSV. */

import type { LabelledImage } from "../../labelled.ts";
import { linesOf, type TextLine, wordsOf } from "../../reading_order.ts";
import { rounded } from "../format.ts";
import { eachImage } from "./each_image.ts";

export const plainText = eachImage("txt", "plain text in reading order", ".txt", writePlainText);
export const markdown = eachImage(
  "md",
  "Markdown: a heading with the image's name, then its lines",
  ".md",
  writeMarkdown,
);
export const tsv = eachImage("tsv", "Tesseract's table of pages, blocks, lines and words", ".tsv", writeTsv);

/** A line of text a line; of an image that has no lines, its text. */
export function writePlainText(image: LabelledImage): string {
  const lines = linesOf(image).map(({ text }) => `${text}\n`);
  return lines.length > 0 || !image.text ? lines.join("") : `${image.text}\n`;
}

/** Characters that mean something in Markdown stand behind a backslash. */
export function writeMarkdown(image: LabelledImage): string {
  const escaped = (text: string) => text.replaceAll(/([\\`*_{}[\]<>()#+!|~-])/g, "\\$1");
  const lines = writePlainText(image).split("\n").filter(Boolean);
  return [`# ${escaped(image.file)}\n\n`, ...lines.map((line) => `${escaped(line)}  \n`)].join("");
}

const HEAD = [
  "level",
  "page_num",
  "block_num",
  "par_num",
  "line_num",
  "word_num",
  "left",
  "top",
  "width",
  "height",
  "conf",
  "text",
];

/** One page, block and paragraph; lines at level 4, words at level 5; `conf` is 0 to 100, -1 above words. */
export function writeTsv(image: LabelledImage): string {
  const page = [0, 0, image.width, image.height];
  const lines = linesOf(image);
  const rows: (string | number)[][] = [
    HEAD,
    [1, 1, 0, 0, 0, 0, ...page, -1, ""],
    ...(lines.length > 0
      ? [
          [2, 1, 1, 0, 0, 0, ...page, -1, ""],
          [3, 1, 1, 1, 0, 0, ...page, -1, ""],
        ]
      : []),
    ...lines.flatMap((line, i) => [
      [4, 1, 1, 1, i + 1, 0, ...place(line), -1, ""],
      ...wordsOf(line).map((word, k) => [
        5,
        1,
        1,
        1,
        i + 1,
        k + 1,
        ...place(word),
        confidence(line),
        word.text,
      ]),
    ]),
  ];
  return rows.map((row) => `${row.join("\t")}\n`).join("");
}

function place({ box: [left, top, right, bottom] }: Pick<TextLine, "box">): number[] {
  const [x, y] = [Math.floor(left), Math.floor(top)];
  return [x, y, Math.ceil(right) - x, Math.ceil(bottom) - y];
}

const confidence = ({ score = 1 }: TextLine) => rounded(100 * score);
