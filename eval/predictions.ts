import { appendFileSync, existsSync, readFileSync, truncateSync } from "node:fs";
import { dirname } from "node:path";
import { Florence2Error } from "../core/errors.ts";
import type { Prompt } from "../datasets/truth/data_set.ts";
import { parseLines } from "../datasets/truth/json_lines.ts";
import { makeFolder } from "../files/make_folder.ts";

/** The model's answer to one prompt. */
export interface Prediction {
  readonly file: string;
  readonly task: string;
  readonly text?: string;
  /** Of the image as seen, in pixels. */
  readonly width: number;
  readonly height: number;
  /** As `model.run` gives it. */
  readonly answer: unknown;
  readonly tokens: readonly number[];
  readonly score: number;
  /** By how much the beams that the search kept were better than the next one, at the least, if it was watched. */
  readonly margin?: number;
}

/** The inputs that determine answers; one file holds answers of one origin only. */
export type Origin = Readonly<Record<string, string | number | null>>;

/**
 * Answers in a JSONL file that grows as they come: the first line says where they are from, each other line
 * is a `Prediction`. What an interrupted run left is read again; half a last line is cut off.
 */
export class PredictionFile {
  readonly path: string;
  readonly #origin: Origin;
  readonly #answers = new Map<string, Prediction>();

  /**
   * Reads what is there; a file that is not there comes into being with the first answer.
   *
   * @throws {Florence2Error} `data_invalid` if the file is of another origin, or none of predictions
   */
  constructor(path: string, origin: Origin) {
    this.path = path;
    this.#origin = origin;
    if (!existsSync(path)) return;
    const content = readFileSync(path);
    const complete = content.lastIndexOf("\n") + 1;
    const [first, ...lines] = parseLines(content.toString("utf8", 0, complete), path);
    for (const [name, wanted] of Object.entries(origin)) {
      const found = (first?.value as Origin | undefined)?.[name];
      if (found === wanted) continue;
      throw new Florence2Error(
        "data_invalid",
        `${path} holds predictions with ${name} ${JSON.stringify(found)}, expected ${JSON.stringify(wanted)}. ` +
          "Delete it, or choose another folder with --output.",
        { path, name, found, expected: wanted },
      );
    }
    if (complete < content.length) truncateSync(path, complete);
    for (const { value } of lines) this.#keep(value as unknown as Prediction);
  }

  find(file: string, prompt: Prompt): Prediction | undefined {
    return this.#answers.get(keyOf({ file, ...prompt }));
  }

  append(predictions: readonly Prediction[]): void {
    makeFolder(dirname(this.path));
    const values = existsSync(this.path) ? predictions : [this.#origin, ...predictions];
    appendFileSync(this.path, values.map((value) => `${JSON.stringify(value)}\n`).join(""));
    for (const prediction of predictions) this.#keep(prediction);
  }

  #keep(prediction: Prediction): void {
    this.#answers.set(keyOf(prediction), prediction);
  }
}

function keyOf({ file, task, text = "" }: { file: string; task: string; text?: string }): string {
  return JSON.stringify([file, task, text]);
}
