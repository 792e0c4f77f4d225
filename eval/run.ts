import { existsSync } from "node:fs";
import { Florence2Error } from "../core/errors.ts";
import { type AskedImage, type DataSet, type Prompt, pathOf } from "../datasets/truth/data_set.ts";
import type { EncodedImage } from "../model/encoded_image.ts";
import type { Florence2 } from "../model/florence2.ts";
import type { GenerationOptions } from "../model/generation/options.ts";
import type { ParseOptions } from "../model/tasks/index.ts";
import type { Case, Findings } from "./measure.ts";
import { measureOf } from "./measures.ts";
import type { PredictionFile } from "./predictions.ts";

export interface RunOptions
  extends Pick<GenerationOptions, "maxNewTokens" | "numBeams">,
    Pick<ParseOptions, "scores"> {
  /** Images encoded at a time; their prompts of one task are answered together. */
  readonly batch: number;
  /** After each batch: how many prompts of this run are answered. */
  readonly onProgress: (done: number, total: number) => void;
}

export interface TaskFindings extends Findings {
  readonly task: string;
  readonly prompts: number;
}

/**
 * Asks every prompt of a data set that has no answer yet. Answers are in the file before the next batch
 * begins, so that a run can be stopped at any time and taken up again.
 *
 * @throws {Florence2Error} `file_not_found` before the first answer if an image is missing; what the model
 *   throws
 */
export async function answerAll(
  model: Pick<Florence2, "encodeImage" | "runBatch">,
  dataSet: DataSet,
  predictions: PredictionFile,
  { batch, onProgress, ...options }: RunOptions,
): Promise<void> {
  const open = dataSet.images
    .map(({ file, prompts }) => ({
      file,
      prompts: prompts.filter((prompt) => !predictions.find(file, prompt)),
    }))
    .filter(({ prompts }) => prompts.length > 0);
  for (const image of open) expectImage(dataSet, image);
  const total = open.reduce((sum, { prompts }) => sum + prompts.length, 0);
  let done = 0;
  for (let from = 0; from < open.length; from += batch) {
    const images = open.slice(from, from + batch);
    const encoded = new Map<string, EncodedImage>();
    try {
      for (const image of images) {
        encoded.set(image.file, await model.encodeImage(pathOf(dataSet, image)));
      }
      for (const questions of byTask(images)) {
        const results = await model.runBatch(
          questions.map(({ file, task, text }) => ({ image: encoded.get(file)!, task, text })),
          options,
        );
        predictions.append(
          results.map(({ answer, tokens, score, width, height }, i) => {
            const { file, task, text } = questions[i]!;
            return { file, task, text, width, height, answer, tokens, score };
          }),
        );
        done += results.length;
        onProgress(done, total);
      }
    } finally {
      for (const image of encoded.values()) image.dispose();
    }
  }
}

/** Judges the answers, task by task. @throws {Florence2Error} `data_invalid` if one is missing */
export function judgeAll(
  dataSet: DataSet,
  predictions: Pick<PredictionFile, "find" | "path">,
): TaskFindings[] {
  return byTask(dataSet.images).map((questions) => {
    const { task } = questions[0]!;
    const cases = questions.map(({ file, ...prompt }): Case<unknown, unknown> => {
      const prediction = predictions.find(file, prompt);
      if (!prediction) {
        const message = `${predictions.path} has no answer for ${task} of ${file}; run the evaluation again.`;
        throw new Florence2Error("data_invalid", message, { file, task });
      }
      return { truth: prompt.truth, answer: prediction.answer, size: prediction };
    });
    return { task, prompts: cases.length, ...measureOf(task).judge(cases) };
  });
}

/** The prompts of images, one list for each task. */
function byTask(images: readonly AskedImage[]): (Prompt & { readonly file: string })[][] {
  const tasks = new Map<string, (Prompt & { file: string })[]>();
  for (const { file, prompts } of images) {
    for (const prompt of prompts) {
      const questions = tasks.get(prompt.task) ?? [];
      questions.push({ file, ...prompt });
      tasks.set(prompt.task, questions);
    }
  }
  return [...tasks.values()];
}

function expectImage(dataSet: DataSet, image: AskedImage): void {
  const path = pathOf(dataSet, image);
  if (existsSync(path)) return;
  const message = `The image ${path} of the data set ${dataSet.name} is missing; --images names their folder.`;
  throw new Florence2Error("file_not_found", message, { path });
}
