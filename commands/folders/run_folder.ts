import { join, resolve } from "node:path";
import type { ParseArgsConfig } from "node:util";
import { Florence2Error } from "../../core/errors.ts";
import type { ImageAnswers } from "../../datasets/answers.ts";
import type { Florence2 } from "../../model/florence2.ts";
import { modelFingerprint } from "../fingerprint.ts";
import { openModel, warnOfPhotographs } from "../open_model.ts";
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
import { beQuiet, counted, note } from "../terminal.ts";
import { type AnswerOptions, answerImages, type Job } from "./answer_images.ts";
import { AnswerLog, type AnswerLogOptions, type Origin } from "./answer_log.ts";
import { findImages, type ImageFile, rootOf } from "./find_images.ts";
import { FolderRun } from "./folder_run.ts";
import { lockFolder } from "./lock.ts";
import { FolderProgress, PROGRESS } from "./progress.ts";
import { expectWritable } from "./replace_file.ts";

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
export type OpenModel = (values: FolderValues, signal: AbortSignal) => Promise<FolderModel>;

export interface FolderCommand extends Job {
  readonly name: string;
  /** Where the answers are kept, and errors and summary beside them. */
  readonly out: string;
  /** The inputs besides the model that determine answers. */
  readonly origin: Origin;
  /** See `AnswerLogOptions`. */
  readonly log?: Pick<AnswerLogOptions, "run" | "replaces">;
  /** Questions about each image, as far as that is known: fewer images are seen at a time where there are many. */
  readonly questions?: number;
  /** Chooses among the images of the folder. */
  choose?(images: readonly ImageFile[]): readonly ImageFile[];
  /** What an image is asked about: other things make it another image. */
  given?(file: string): ImageAnswers["given"];
  /** Whether there is nothing to ask about an image. */
  skips?(file: string): boolean;
  /** The output of a dry run besides the number of images. */
  readonly plan: readonly string[];
  /** Writes files for one image, whose answers are safe on the disk; called again if a stop may have come before. */
  settle?(answers: ImageAnswers): void;
  /** Whether the files for an image are there. */
  isSettled?(file: string): boolean;
  /**
   * Writes the formats once all is answered; returns what goes into the summary.
   *
   * @param images that were answered or skipped
   */
  finish(log: AnswerLog, images: readonly ImageFile[]): Promise<Readonly<Record<string, unknown>>>;
}

/** Exit code of a run that was stopped by a signal, as shells have it. */
const STOPPED = 130;
/** Images that are seen at a time, and questions about them. */
const USUAL_BATCH = { images: 8, questions: 64 };

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
  open: OpenModel = openFolderModel,
): Promise<number> {
  const { name, out, plan, questions = 1 } = command;
  beQuiet(values.quiet === true);
  const usual = Math.max(1, Math.min(USUAL_BATCH.images, Math.floor(USUAL_BATCH.questions / questions)));
  const batch = wholeNumber("batch", values.batch, 1) ?? usual;
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
  const images = command.choose?.(found.images) ?? found.images;
  const total = images.length + found.unreadable.length;
  if (values["dry-run"]) {
    process.stdout.write(
      [`${name}: ${total} images of ${folder}`, ...plan].map((line) => `${line}\n`).join(""),
    );
    return 0;
  }
  expectWritable(out);
  const release = lockFolder(out);
  try {
    const origin = originOf(values, command);
    const log = new AnswerLog(join(out, "answers.jsonl"), origin, { ...command.log, fresh: values.restart });
    const run = new FolderRun(command, log, images, rootOf(folder));
    try {
      for (const { file, error } of found.unreadable) run.fail(file, error);
      const todo = await run.prepare();
      if (todo.length > 0) {
        const paths = todo.map(({ path }) => path);
        warnOfPhotographs(modelOf(values.model), paths, `${name} ${folder} [options]`);
        const progress = new FolderProgress(progressKind, images.length, images.length - todo.length);
        const stopped = await compute(todo, run, { ...decoding, batch }, progress, (signal) =>
          open(values, signal),
        );
        if (stopped) return STOPPED;
      }
      await run.finish(total);
      return run.failed > 0 ? 1 : 0;
    } catch (error) {
      log.close();
      throw error;
    }
  } finally {
    release();
  }
}

/** Asks about images, and stops at a signal. @returns whether it was stopped */
async function compute(
  todo: readonly ImageFile[],
  run: FolderRun,
  options: Omit<AnswerOptions, "signal">,
  progress: FolderProgress,
  open: (signal: AbortSignal) => Promise<FolderModel>,
): Promise<boolean> {
  const stop = new AbortController();
  const onSignal = () => stop.abort(new DOMException("stopped", "AbortError"));
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  let model: FolderModel | undefined;
  try {
    model = await open(stop.signal);
    note(`${counted(todo.length, "image")} on ${model.device.name}`);
    for await (const outcomes of answerImages(model, todo, run.command, {
      ...options,
      signal: stop.signal,
    })) {
      for (const outcome of run.take(outcomes)) progress.add(outcome);
    }
    note(`${counted(todo.length, "image")}, ${progress.rate.toFixed(1)} a second`);
    return false;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    run.stop();
    return true;
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
    model?.dispose();
  }
}

/** Opens the model that the options name. */
async function openFolderModel(values: FolderValues, signal: AbortSignal): Promise<FolderModel> {
  return openModel(modelOf(values.model), {
    device: values.device as "auto",
    dtype: values.dtype as "auto",
    revision: values.revision,
    threads: wholeNumber("threads", values.threads, 1),
    signal,
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
    "model files": modelFingerprint(modelOf(values.model)),
    revision: values.revision ?? null,
    dtype: values.dtype ?? "auto",
    "beams of search": values["num-beams"] ?? null,
    "new tokens at most": values["max-new-tokens"] ?? null,
    ...origin,
  };
}
