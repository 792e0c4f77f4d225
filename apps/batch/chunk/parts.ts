/** Rows as the bytes of a part, and back. The same rows make the same bytes. */
import { gunzipSync, gzipSync } from "node:zlib";
import type { PartFormat } from "../plan/plan.ts";
import type { Row } from "./rows.ts";

/** Loaded for runs that write it: every process of a run starts sooner without. */
const parquet = () => import("./parquet.ts");

export async function encodeRows(rows: readonly Row[], format: PartFormat): Promise<Uint8Array> {
  if (format === "parquet") return (await parquet()).encodeParquet(rows);
  const lines = Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return format === "jsonl" ? lines : gzipSync(lines);
}

export async function decodeRows(content: Uint8Array, format: PartFormat): Promise<Row[]> {
  if (format === "parquet") return (await parquet()).decodeParquet(content);
  const lines = format === "jsonl" ? content : gunzipSync(content);
  return Buffer.from(lines)
    .toString("utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}
