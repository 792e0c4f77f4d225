import { appendFileSync, rmSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { ParseArgsConfig } from "node:util";
import { Florence2Error } from "../../core/errors.ts";
import type { ImageAnswers } from "../../datasets/answers.ts";
import { Florence2 } from "../../model/florence2.ts";
import {
  DEVICES,
  DTYPES,
  GENERATION_OPTIONS,
  generationOptions,
  MODEL_OPTIONS,
  modelOf,
  OUTPUT_OPTIONS,
  oneOf,
  wholeNumber,
} from "../options.ts";
import { beQuiet, note, showLoading } from "../terminal.ts";
import { answerImages, type Job } from "./answer_images.ts";
import { AnswerLog, type Origin } from "./answer_log.ts";
import { findImages, type ImageFile, rootOf } from "./find_images.ts";
import { FolderProgress, PROGRESS } from "./progress.ts";
import { expectWritable, replaceFile } from "./write_files.ts";

/** Options of every command that computes over a folder. */
export const FOLDER_OPTIONS = {
  ...MODEL_OPTIONS,
  ...GENERATION_OPTIONS,
  ...OUTPUT_OPTIONS,
  recursive: { type: "boolean", short: "r" },
  glob: { type: "string" },
  "file-list": { type: "string" },
  out: { type: "string" },
  batch: { type: "string" },
  restart: { type: "boolean" },
  progress: { type: "string" },
  "dry-run": { type: "boolean" },
} as const satisfies NonNullable<ParseArgsConfig["options"]>;

export const FOLDER_HELP = `Which images:
  --recursive, -r        look into folders of the folder too
  --glob PATTERN         only files that fit: "*.jpg", "cats/**"
  --file-list FILE       only the files named there, one a line, from the folder

How to compute:
  --model MODEL          a folder, a repository, or base, large, base-ft, large-ft (default: the bundled one)
  --revision NAME        branch, tag or commit of the repository (default: main)
  --device NAME          auto, gpu or cpu (default: auto)
  --dtype NAME           how weights are held: auto (as stored), f32, f16, q8 or q4 (default: auto)
  --threads N            of the CPU engine (default: as many as the machine has cores)
  --num-beams N          hypotheses of beam search (default: the model's own, 3)
  --max-new-tokens N     length of an answer at most
  --batch N              images seen at a time (default: 8)

The run:
  --restart              drop the answers of an earlier run; by default a run goes on where it was stopped
  --progress NAME        bar, json (a line of JSON on stdout for each image) or none (default: bar)
  --dry-run              print the plan, and do nothing
  --quiet, -q            errors only
  --help, -h
`;

/** The values of `FOLDER_OPTIONS`, as `readArguments` gives them. */
export type FolderValues = {
  readonly [Name in keyof typeof FOLDER_OPTIONS]?: (typeof FOLDER_OPTIONS)[Name]["type"] extends "boolean"
    ? boolean
    : string;
};

export type FolderModel = Pick<Florence2, "encodeImage" | "runBatch" | "dispose" | "device">;
/** Opens the model that options name; tests give a made-up one. */
export type OpenModel = (values: FolderValues) => Promise<FolderModel>;

export interface FolderCommand extends Job {
  readonly name: string;
  /** Where the answers are kept, and errors and summary beside them. */
  readonly out: string;
  /** The inputs besides the model that determine answers. */
  readonly origin: Origin;
  /** Chooses among the images of the folder. */
  choose?(images: readonly ImageFile[]): readonly ImageFile[];
  /** The output of a dry run besides the number of images. */
  readonly plan: readonly string[];
  /** Called with answers that are safe on the disk; after a stop, again with those of the last batch. */
  settled?(answers: readonly ImageAnswers[]): void;
  /** Writes the formats once all is answered; returns what goes into the summary. */
  finish(log: AnswerLog, images: readonly ImageFile[]): Promise<Readonly<Record<string, unknown>>>;
}

/** Exit code of a run that was stopped by a signal, as shells have it. */
const STOPPED = 130;

/**
 * Runs a command over a folder: what is answered already is not asked again, every answer is on the disk before
 * the next batch begins, and an image at fault is a line of `errors.jsonl`.
 *
 * @returns exit code: 0, 1 if images failed, 130 if the run was stopped
 */
export async function runFolder(
  folder: string,
  values: FolderValues,
  command: FolderCommand,
  open: OpenModel = openModel,
): Promise<number> {
  const { name, out, plan, settled } = command;
  beQuiet(values.quiet === true);
  const batch = wholeNumber("batch", values.batch, 1) ?? 8;
  const progressKind = oneOf("progress", values.progress ?? (values.quiet ? "none" : "bar"), PROGRESS);
  const decoding = generationOptions(values);
  oneOf("device", values.device ?? "auto", DEVICES);
  oneOf("dtype", values.dtype ?? "auto", DTYPES);
  wholeNumber("threads", values.threads, 1);
  const found = findImages(folder, {
    recursive: values.recursive,
    list: values["file-list"],
    glob: values.glob,
    without: out,
  });
  const images = command.choose?.(found) ?? found;
  if (values["dry-run"]) {
    process.stdout.write(
      [`${name}: ${images.length} images of ${folder}`, ...plan].map((line) => `${line}\n`).join(""),
    );
    return 0;
  }
  expectWritable(out);
  const [errorsPath, summaryPath] = [join(out, "errors.jsonl"), join(out, "summary.json")];
  const log = new AnswerLog(join(out, "answers.jsonl"), originOf(values, command), { fresh: values.restart });
  try {
    const todo = images.filter(({ file, bytes }) => !log.has(file, bytes));
    const isComplete = statSync(summaryPath, { throwIfNoEntry: false }) !== undefined;
    if (settled && !isComplete) settled(lastAnswers(log, images, batch));
    rmSync(errorsPath, { force: true });
    if (todo.length < images.length)
      note(`${images.length - todo.length} of ${images.length} images are answered already`);
    let failed = 0;
    if (todo.length > 0) {
      rmSync(summaryPath, { force: true });
      const stop = new AbortController();
      const onSignal = () => stop.abort(new DOMException("stopped", "AbortError"));
      process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
      let model: FolderModel | undefined;
      try {
        model = await open(values);
        note(`${todo.length} images on ${model.device.name}`);
        const progress = new FolderProgress(progressKind, images.length, images.length - todo.length);
        const options = { ...decoding, batch, signal: stop.signal };
        for await (const outcomes of answerImages(model, todo, command, options)) {
          const answers = outcomes.flatMap((outcome) => ("answers" in outcome ? [outcome.answers] : []));
          log.append(answers);
          settled?.(answers);
          for (const outcome of outcomes) {
            progress.add(outcome);
            if (!("error" in outcome)) continue;
            failed++;
            const { code, message } = outcome.error;
            appendFileSync(errorsPath, `${JSON.stringify({ file: outcome.image.file, code, message })}\n`);
          }
        }
        note(`${todo.length} images, ${progress.rate.toFixed(1)} a second`);
      } catch (error) {
        if (!stop.signal.aborted) throw error;
        note(`stopped after ${log.count} of ${images.length} images; the same command goes on from there`);
        return STOPPED;
      } finally {
        process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
        model?.dispose();
      }
    }
    const answered = images.filter(({ file, bytes }) => log.has(file, bytes));
    const details = await command.finish(log, answered);
    const cut = countCut(log, answered);
    const summary = {
      command: name,
      images: images.length,
      answered: answered.length,
      failed,
      cutOff: cut,
      ...details,
    };
    replaceFile(summaryPath, [`${JSON.stringify(summary, null, 2)}\n`]);
    if (cut > 0) note(`${cut} answers were cut off at the limit of tokens; --max-new-tokens raises it`);
    if (failed > 0) note(`${failed} of ${images.length} images failed: ${errorsPath}`);
    log.finish();
    return failed > 0 ? 1 : 0;
  } catch (error) {
    log.close();
    throw error;
  }
}

/** Opens the model that the options name. */
export async function openModel(values: FolderValues): Promise<FolderModel> {
  return Florence2.fromPretrained(modelOf(values.model), {
    device: values.device as "auto",
    dtype: values.dtype as "auto",
    revision: values.revision,
    threads: wholeNumber("threads", values.threads, 1),
    onProgress: showLoading,
  });
}

/** The folder that a command was given, its only argument. */
export function folderOf(command: string, positionals: readonly string[]): string {
  const [folder, ...others] = positionals;
  if (folder !== undefined && others.length === 0) return folder;
  const message = `florence2 ${command} takes a folder of images, or one image; found ${positionals.length} arguments. --help shows how.`;
  throw new Florence2Error("option_invalid", message, { found: positionals });
}

/** The folder for what a command makes, if it is not named: beside nothing that is there, in the current one. */
export function outOf(values: FolderValues, folder: string, kind: string): string {
  return values.out ?? `${resolve(rootOf(folder)).split(/[\\/]/).at(-1)}-${kind}`;
}

function originOf(values: FolderValues, { name, origin }: FolderCommand): Origin {
  return {
    command: name,
    model: values.model ?? "bundled",
    revision: values.revision ?? null,
    dtype: values.dtype ?? "auto",
    "beams of search": values["num-beams"] ?? null,
    "new tokens at most": values["max-new-tokens"] ?? null,
    ...origin,
  };
}

/** The answers of the last images that have any: their files may not have been written before the stop. */
function lastAnswers(log: AnswerLog, images: readonly ImageFile[], batch: number): ImageAnswers[] {
  const answered = images.filter(({ file, bytes }) => log.has(file, bytes));
  return answered.slice(-batch).map(({ file }) => log.find(file)!);
}

function countCut(log: AnswerLog, images: readonly ImageFile[]): number {
  let cut = 0;
  for (const { answers } of log.read(new Set(images.map(({ file }) => file)))) {
    cut += answers.filter(({ finishReason }) => finishReason === "length").length;
  }
  return cut;
}
