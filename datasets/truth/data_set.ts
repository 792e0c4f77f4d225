import { basename, dirname, join } from "node:path";
import { Florence2Error } from "../../core/errors.ts";
import { openFile } from "../../files/files.ts";
import { parseJson } from "../../files/json.ts";
import { readCoco } from "./coco.ts";
import { readJsonLines } from "./json_lines.ts";

/** A question about an image, and its true answer. */
export interface Prompt {
  readonly task: string;
  /** The input of the task: a phrase, or a region as location tags. */
  readonly text?: string;
  /** In the form that belongs to the task (truth.ts). */
  readonly truth: unknown;
}

export interface AskedImage {
  /** As the data set names it. */
  readonly file: string;
  readonly prompts: readonly Prompt[];
}

export interface DataSetOptions {
  /** Where the images are; by default beside the data file. */
  readonly images?: string;
  /** Asks only this task. Of COCO's captions, any task of captions; by default `<CAPTION>`. */
  readonly task?: string;
  /** Takes only so many images. */
  readonly limit?: number;
}

export interface DataSet {
  readonly name: string;
  /** The folder that the images' names count from. */
  readonly folder: string;
  readonly images: readonly AskedImage[];
}

/**
 * Reads a data set: `.jsonl` as plain JSONL (json_lines.ts), `.json` as one of COCO's formats (coco.ts).
 *
 * @throws {Florence2Error} `file_not_found`, `file_unreadable`; `data_invalid` with file, line and field;
 *   `option_invalid` if the data set has no prompt for the task
 */
export async function openDataSet(path: string, options: DataSetOptions = {}): Promise<DataSet> {
  const { images: folder = dirname(path), task, limit } = options;
  const text = await readText(path);
  const all = path.endsWith(".jsonl")
    ? readJsonLines(text, path)
    : readCoco(parseJson(text, path, "data_invalid"), path, task);
  const images = all
    .map(({ file, prompts }) => ({ file, prompts: prompts.filter((own) => !task || own.task === task) }))
    .filter(({ prompts }) => prompts.length > 0)
    .slice(0, limit);
  if (images.length === 0) {
    const tasks = [...new Set(all.flatMap(({ prompts }) => prompts.map((own) => own.task)))];
    throw new Florence2Error(
      "option_invalid",
      `${path} has no prompt${task ? ` for ${task}; it has ${tasks.join(" ") || "none"}` : ""}.`,
      { task, tasks },
    );
  }
  return { name: basename(path).replace(/\.jsonl?$/, ""), folder, images };
}

export function pathOf({ folder }: DataSet, { file }: AskedImage): string {
  return join(folder, file);
}

async function readText(path: string): Promise<string> {
  const file = await openFile(path);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await file.read(0, file.size));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new Florence2Error("data_invalid", `${path} is not UTF-8 text.`, { path }, error);
  } finally {
    await file.close();
  }
}
