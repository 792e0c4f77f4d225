/** Rows as Parquet, and back. */
import { parquetReadObjects } from "hyparquet";
import { type ColumnSource, parquetWriteBuffer } from "hyparquet-writer";
import type { Row } from "./rows.ts";

/** Columns that people filter and sort by; the whole row is in the last one. */
export function encodeParquet(rows: readonly Row[]): Uint8Array {
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

export async function decodeParquet(content: Uint8Array): Promise<Row[]> {
  const file = content.buffer.slice(content.byteOffset, content.byteOffset + content.length) as ArrayBuffer;
  const rows = await parquetReadObjects({ file, columns: ["row"] });
  return rows.map(({ row }) => JSON.parse(row as string));
}
