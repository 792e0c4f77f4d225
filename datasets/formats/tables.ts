/** One row for each thing: CSV, and columns for Parquet. JSON lines: one line for each image. */

import { Florence2Error } from "../../core/errors.ts";
import { items, member, number, numbers, text } from "../../files/fields.ts";
import type { JsonValue } from "../../files/json.ts";
import type { PixelEdges } from "../geometry/boxes.ts";
import type { LabelledImage, LabelledObject } from "../labelled.ts";
import { csvRow, guardFormula, parseCsv } from "../shared/csv.ts";
import { parseLines } from "../truth/json_lines.ts";
import type { Format, Images, WriteOptions } from "./format.ts";

export const csv: Format = {
  name: "csv",
  about: "CSV: a row for each thing, with its box in pixels",
  *write(images, options) {
    yield { path: "objects.csv", content: writeCsv(images, options) };
  },
};

export const jsonLines: Format = {
  name: "jsonl",
  about: "JSON lines: an image a line with all that is known of it",
  *write(images) {
    yield { path: "images.jsonl", content: writeImageLines(images) };
  },
};

/** Columns of the tables, in order. */
export const COLUMNS = [
  ...["file", "label", "x1", "y1", "x2", "y2", "score", "width", "height", "text", "split"],
] as const;

type Row = readonly (string | number | undefined)[];

/** The rows of an image; one without a box where nothing was found, so that no image gets lost. */
export function rowsOf({ file, width, height, split, text: caption, objects }: LabelledImage): Row[] {
  if (objects.length === 0) {
    return [
      [file, undefined, undefined, undefined, undefined, undefined, undefined, width, height, caption, split],
    ];
  }
  return objects.map(({ label, box, score, text: written }) => [
    file,
    label,
    ...box,
    score,
    width,
    height,
    written ?? caption,
    split,
  ]);
}

/** RFC 4180, with a head. */
export function* writeCsv(
  images: Images,
  { guardFormulas = false }: Partial<WriteOptions>,
): Generator<string> {
  const guard = (cell: Row[number]) =>
    guardFormulas && typeof cell === "string" ? guardFormula(cell) : cell;
  yield csvRow(COLUMNS);
  for (const image of images) for (const row of rowsOf(image)) yield csvRow(row.map(guard));
}

/**
 * Reads rows of boxes; columns by the names of the head, others are ignored.
 *
 * @param file its name in messages
 * @throws {Florence2Error} `data_invalid` with file, row and column
 */
export function readCsv(content: string, file: string): LabelledImage[] {
  const [head = [], ...rows] = parseCsv(content.replace(/^\ufeff/, ""));
  for (const name of ["file", "x1", "y1", "x2", "y2"]) {
    if (head.includes(name)) continue;
    const message = `${file} has no column ${name}; it has ${head.join(", ") || "none"}.`;
    throw new Florence2Error("data_invalid", message, { file, column: name });
  }
  const images = new Map<string, LabelledImage & { objects: LabelledObject[] }>();
  for (const [i, row] of rows.entries()) {
    const cell = (name: string) => row[head.indexOf(name)] ?? "";
    const value = (name: string) => {
      const found = Number(cell(name));
      if (cell(name) !== "" && Number.isFinite(found)) return found;
      const message = `${file}, row ${i + 2}: ${name} is ${JSON.stringify(cell(name))}, expected a number.`;
      throw new Florence2Error("data_invalid", message, { file, row: i + 2, column: name });
    };
    const image = images.get(cell("file")) ?? {
      file: cell("file"),
      width: Number(cell("width")),
      height: Number(cell("height")),
      objects: [],
      ...(cell("split") && { split: cell("split") }),
    };
    images.set(image.file, image);
    if (["x1", "y1", "x2", "y2"].every((name) => cell(name) === "")) continue;
    image.objects.push({
      label: cell("label"),
      box: [value("x1"), value("y1"), value("x2"), value("y2")],
      ...(cell("score") && { score: value("score") }),
      ...(cell("text") && { text: cell("text") }),
    });
  }
  return [...images.values()];
}

/** One `LabelledImage` a line. */
export function* writeImageLines(images: Images): Generator<string> {
  for (const image of images) yield `${JSON.stringify(image)}\n`;
}

/**
 * Reads what `writeImageLines` wrote.
 *
 * @throws {Florence2Error} `data_invalid` with line and field
 */
export function readImageLines(content: string, file: string): LabelledImage[] {
  return parseLines(content, file).map((line) => {
    const objects = items(member(line, "objects"), "a list of things");
    for (const object of objects) {
      text(member(object, "label"));
      numbers(
        member(object, "box"),
        "four numbers x1, y1, x2, y2",
        ({ length }) => length === 4,
      ) as PixelEdges;
    }
    text(member(line, "file"));
    number(member(line, "width"));
    number(member(line, "height"));
    return line.value as JsonValue as unknown as LabelledImage;
  });
}

/** The writer of Parquet: the package `hyparquet-writer`, which the caller imports. */
export interface ParquetWriter {
  parquetWriteBuffer(options: {
    columnData: { name: string; data: unknown[]; type: "STRING" | "DOUBLE" | "INT32"; nullable: boolean }[];
  }): ArrayBuffer;
}

/** Captions as `datasets` takes them beside images: `file_name,text`. */
export function* writeCaptionCsv(images: Images): Generator<string> {
  yield csvRow(["file_name", "text"]);
  for (const { file, text: caption = "" } of images) yield csvRow([file, caption]);
}

/** The same as a Parquet file. */
export function writeCaptionParquet(images: Images, writer: ParquetWriter): Uint8Array {
  const rows = [...images];
  const shared = { type: "STRING", nullable: false } as const;
  const columnData = [
    { name: "file_name", data: rows.map(({ file }) => file), ...shared },
    { name: "text", data: rows.map(({ text: caption = "" }) => caption), ...shared },
  ];
  return new Uint8Array(writer.parquetWriteBuffer({ columnData }));
}

/** The same rows as CSV has, as a Parquet file. */
export function writeParquet(images: Images, writer: ParquetWriter): Uint8Array {
  const rows = [...images].flatMap(rowsOf);
  const typeOf = (name: string) =>
    ["x1", "y1", "x2", "y2", "score"].includes(name)
      ? "DOUBLE"
      : ["width", "height"].includes(name)
        ? "INT32"
        : "STRING";
  const columnData = COLUMNS.map((name, i) => ({
    name,
    data: rows.map((row) => row[i] ?? null),
    type: typeOf(name) as "STRING" | "DOUBLE" | "INT32",
    nullable: true,
  }));
  return new Uint8Array(writer.parquetWriteBuffer({ columnData }));
}
