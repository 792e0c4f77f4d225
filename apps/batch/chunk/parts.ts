/** Rows as the bytes of a part, and back. The same rows make the same bytes. */
import { gunzipSync, gzipSync } from "node:zlib";
import { parquetReadObjects } from "hyparquet";
import { type ColumnSource, parquetWriteBuffer } from "hyparquet-writer";
import type { PartFormat } from "../plan/plan.ts";
import type { Row } from "./rows.ts";

export function encodeRows(rows: readonly Row[], format: PartFormat): Uint8Array {
  if (format === "parquet") return encodeParquet(rows);
  const lines = Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return format === "jsonl" ? lines : gzipSync(lines);
}

export async function decodeRows(content: Uint8Array, format: PartFormat): Promise<Row[]> {
  if (format === "parquet") return decodeParquet(content);
  const lines = format === "jsonl" ? content : gunzipSync(content);
  return Buffer.from(lines)
    .toString("utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** Columns that people filter and sort by; the whole row is in the last one. */
function encodeParquet(rows: readonly Row[]): Uint8Array {
  const ok = (row: Row) => (row.status === "ok" ? row : undefined);
  const error = (row: Row) => (row.status === "error" ? row.error : undefined);
  const column = (name: string, type: "STRING" | "DOUBLE" | "INT32", value: (row: Row) => unknown) => ({
    name,
    type,
    data: rows.map((row) => value(row) ?? null),
    nullable: true,
  });
  const columnData = [
    column("key", "STRING", ({ key }) => key),
    column("task", "STRING", ({ task }) => task),
    column("status", "STRING", ({ status }) => status),
    column("text", "STRING", (row) => ok(row)?.text),
    column("score", "DOUBLE", (row) => ok(row)?.score),
    column("width", "INT32", (row) => ok(row)?.width),
    column("height", "INT32", (row) => ok(row)?.height),
    column("objects", "STRING", (row) => ok(row) && JSON.stringify(ok(row)!.objects)),
    column("model", "STRING", ({ model }) => model),
    column("error_code", "STRING", (row) => error(row)?.code),
    column("error_message", "STRING", (row) => error(row)?.message),
    column("row", "STRING", (row) => JSON.stringify(row)),
  ];
  return new Uint8Array(parquetWriteBuffer({ columnData: columnData as ColumnSource[] }));
}

async function decodeParquet(content: Uint8Array): Promise<Row[]> {
  const file = content.buffer.slice(content.byteOffset, content.byteOffset + content.length) as ArrayBuffer;
  const rows = await parquetReadObjects({ file, columns: ["row"] });
  return rows.map(({ row }) => JSON.parse(row as string));
}
