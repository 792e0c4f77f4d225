/** Lists of images: JSON lines, CSV, a column of a Parquet file, or a path or URL a line. */
import { readFile } from "node:fs/promises";
import { dirname, extname, resolve } from "node:path";
import { Florence2Error, type Region } from "florence2-webgpu";
import { parseCsv } from "florence2-webgpu/datasets";
import type { Item } from "../plan/plan.ts";

/** Names of the column with the image, where none is given: the first that is there. */
const IMAGE_COLUMNS = ["url", "path", "image", "file", "file_name"];
export const LIST_ENDINGS = [".jsonl", ".ndjson", ".csv", ".parquet", ".txt"];

/**
 * The items of a list. A path counts from the folder of the list. Without a column `key`, the image as it is written
 * is the key.
 *
 * @param column with the image
 * @throws {Florence2Error} `data_invalid` with line and field
 */
export async function readList(path: string, column: string | undefined): Promise<Item[]> {
  const rows = await readRows(path);
  return rows.map((row, i) => {
    const name = column ?? IMAGE_COLUMNS.find((one) => row[one] !== undefined);
    const image = name === undefined ? undefined : row[name];
    if (name === undefined || typeof image !== "string" || image === "") {
      const expected = column ?? IMAGE_COLUMNS.join(", ");
      const message = `${path}, row ${i + 1} has no image in ${expected}; it has ${Object.keys(row).join(", ")}. --column names another column.`;
      throw new Florence2Error("data_invalid", message, { path, row: i + 1 });
    }
    const isUrl = /^[a-z][a-z0-9+.-]+:\/\//i.test(image);
    const { key, text, region } = row;
    const isNumber = typeof key === "bigint" || (typeof key === "number" && Number.isFinite(key));
    return {
      key: isNumber ? String(key) : typeof key === "string" && key !== "" ? key : image,
      url: isUrl ? image : resolve(dirname(path), image),
      ...(typeof text === "string" && text !== "" && { text }),
      ...(region !== undefined && region !== null && region !== "" && { region: regionOf(region, path, i) }),
    };
  });
}

type ListRow = Readonly<Record<string, unknown>>;

async function readRows(path: string): Promise<ListRow[]> {
  const ending = extname(path).toLowerCase();
  try {
    if (ending === ".parquet") {
      const { asyncBufferFromFile, parquetReadObjects } = await import("hyparquet");
      return (await parquetReadObjects({ file: await asyncBufferFromFile(path) })) as ListRow[];
    }
    const text = (await readFile(path, "utf8")).replace(/^\ufeff/, "");
    if (ending === ".csv") {
      const [head = [], ...rows] = parseCsv(text);
      return rows.map((cells) => Object.fromEntries(head.map((name, i) => [name, cells[i] ?? ""])));
    }
    const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
    if (ending === ".txt") return lines.map((line) => ({ url: line.trim() }));
    return lines.map((line, i) => {
      try {
        const value: unknown = JSON.parse(line);
        if (typeof value === "object" && value !== null) return value as ListRow;
        return { url: value };
      } catch (error) {
        const message = `${path}, line ${i + 1} is not JSON.`;
        throw new Florence2Error("data_invalid", message, { path, line: i + 1 }, error);
      }
    });
  } catch (error) {
    if (error instanceof Florence2Error) throw error;
    throw new Florence2Error(
      "file_unreadable",
      `${path} cannot be read: ${(error as Error).message}`,
      { path },
      error,
    );
  }
}

function regionOf(value: unknown, path: string, i: number): Region {
  const numbers =
    typeof value === "string"
      ? value
          .trim()
          .split(/[\s,]+/)
          .map(Number)
      : value;
  if (Array.isArray(numbers) && numbers.length === 4 && numbers.every(Number.isFinite))
    return numbers as unknown as Region;
  const message = `${path}, row ${i + 1}: region is ${JSON.stringify(value)}, expected four numbers x1, y1, x2, y2.`;
  throw new Florence2Error("data_invalid", message, { path, row: i + 1 });
}
