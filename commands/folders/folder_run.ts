import { appendFileSync, realpathSync, rmSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { Florence2Error } from "../../core/errors.ts";
import type { ImageAnswers } from "../../datasets/answers.ts";
import { counted, note } from "../terminal.ts";
import type { Outcome } from "./answer_images.ts";
import type { AnswerLog } from "./answer_log.ts";
import { checksumOf } from "./checksum.ts";
import type { ImageFile } from "./find_images.ts";
import { replaceFile, unwritable } from "./replace_file.ts";
import type { FolderCommand } from "./run_folder.ts";

/** Answers that are taken over from an earlier run, or settled again, at a time. */
const BLOCK = 64;
/** Of one file; after others nothing more can be written. */
const OF_ONE_FILE = ["EACCES", "EEXIST", "EISDIR", "ENAMETOOLONG", "ENOTDIR", "EPERM", "EROFS"];

/** What is known and done of a folder's images: answers in the log, files of each image, errors, the summary. */
export class FolderRun {
  readonly command: FolderCommand;
  readonly #folder: string;
  readonly #log: AnswerLog;
  readonly #images: readonly ImageFile[];
  readonly #skipped = new Set<string>();
  readonly #failed = new Set<string>();
  readonly #errorsPath: string;
  readonly #summaryPath: string;

  /** @param folder that the names of images count from */
  constructor(command: FolderCommand, log: AnswerLog, images: readonly ImageFile[], folder: string) {
    this.command = command;
    this.#folder = relative(realpathSync(command.out), realpathSync(folder)).split(sep).join("/") || ".";
    this.#log = log;
    this.#images = images;
    this.#errorsPath = join(command.out, "errors.jsonl");
    this.#summaryPath = join(command.out, "summary.json");
    rmSync(this.#errorsPath, { force: true });
  }

  /** How many images failed. */
  get failed(): number {
    return this.#failed.size;
  }

  /** Writes files that an earlier run left out. @returns the images to ask about */
  async prepare(): Promise<ImageFile[]> {
    for (const { file } of this.#images) {
      this.#attempt(file, () => {
        if (this.command.skips?.(file)) this.#skipped.add(file);
      });
    }
    await this.#recognize();
    const isComplete =
      !this.#log.isNewRun && statSync(this.#summaryPath, { throwIfNoEntry: false }) !== undefined;
    if (!isComplete) {
      rmSync(this.#summaryPath, { force: true });
      for (const answers of this.#log.last(BLOCK)) this.#settle(answers);
    }
    const open: ImageFile[] = [];
    for (const image of this.#images) {
      if (this.#isOut(image)) continue;
      if (!this.#log.has(this.#asked(image))) open.push(image);
      else if (this.command.isSettled?.(image.file) === false) this.#settle(this.#log.find(image.file)!);
    }
    const todo = this.#takeOver(open);
    const known = this.#images.length - todo.length - this.#failed.size;
    if (known > 0) note(`${known} of ${counted(this.#images.length, "image")} are done already`);
    if (todo.length > 0) rmSync(this.#summaryPath, { force: true });
    return todo;
  }

  /** Keeps answers, and writes their files. @returns the outcomes, with errors of those files */
  take(outcomes: readonly Outcome[]): Outcome[] {
    this.#log.append(outcomes.flatMap((outcome) => ("answers" in outcome ? [outcome.answers] : [])));
    return outcomes.map((outcome) => {
      const { image } = outcome;
      const error = "answers" in outcome ? this.#settle(outcome.answers) : outcome.error;
      if ("error" in outcome) this.fail(image.file, outcome.error);
      return error ? { image, error } : outcome;
    });
  }

  /** Notes that an image failed. */
  fail(file: string, { code, message }: Florence2Error): void {
    this.#failed.add(file);
    try {
      appendFileSync(this.#errorsPath, `${JSON.stringify({ file, code, message })}\n`);
    } catch (error) {
      throw unwritable(this.#errorsPath, error);
    }
  }

  /** Ends a run that a signal has stopped. */
  stop(): void {
    const [done, all] = [this.#log.count, this.#images.length];
    note(`stopped after ${done} of ${counted(all, "image")}; the same command goes on from there`);
    this.#log.close();
  }

  /** Writes formats and summary. @param total images of the folder, with those that cannot be read */
  async finish(total: number): Promise<void> {
    const log = this.#log;
    const answered = this.#images.filter((image) => log.has(this.#asked(image)));
    const done = this.#images.filter((image) => this.#skipped.has(image.file) || log.has(this.#asked(image)));
    const details = await this.command.finish(log, done);
    const cutOff = countCut(log, answered);
    const summary = {
      command: this.command.name,
      folder: this.#folder,
      images: total,
      answered: answered.length,
      ...(this.command.skips && { skipped: this.#skipped.size }),
      failed: this.failed,
      cutOff,
      ...details,
    };
    replaceFile(this.#summaryPath, [`${JSON.stringify(summary, null, 2)}\n`]);
    if (cutOff > 0) note(`${cutOff} answers were cut off at the limit of tokens; --max-new-tokens raises it`);
    if (this.failed > 0) note(`${this.failed} of ${counted(total, "image")} failed: ${this.#errorsPath}`);
    log.finish();
  }

  #isOut({ file }: ImageFile): boolean {
    return this.#skipped.has(file) || this.#failed.has(file);
  }

  /** Keeps the answers about files whose time alone has changed, as that of copies does. */
  async #recognize(): Promise<void> {
    const touched = this.#images.filter(
      (image) => !this.#isOut(image) && this.#log.checksumBefore(this.#asked(image)) !== undefined,
    );
    if (touched.length > 0) note(`${counted(touched.length, "image")} of another date: comparing checksums`);
    for (let from = 0; from < touched.length; from += BLOCK) {
      const block = touched.slice(from, from + BLOCK).map((image) => ({ ...image, ...this.#asked(image) }));
      const checksums = await Promise.all(block.map(({ path }) => checksumOf(path)));
      this.#log.renew(block.filter((image, i) => this.#log.checksumBefore(image) === checksums[i]));
    }
  }

  /** Answers of an earlier run with the same questions. @returns the images without any */
  #takeOver(open: readonly ImageFile[]): ImageFile[] {
    const todo: ImageFile[] = [];
    for (let from = 0; from < open.length; from += BLOCK) {
      const known = open.slice(from, from + BLOCK).flatMap((image): ImageAnswers[] => {
        const earlier = this.#log.earlier(this.#asked(image));
        if (!earlier) todo.push(image);
        if (!earlier) return [];
        const { existing, ...answers } = earlier;
        let known: ReturnType<NonNullable<FolderCommand["known"]>> = {};
        this.#attempt(image.file, () => {
          known = this.command.known?.(image.file) ?? {};
        });
        const { modified } = earlier.modified === undefined ? earlier : image;
        return [{ ...answers, modified, ...known }];
      });
      const good = known.filter(({ file }) => !this.#failed.has(file));
      this.#log.append(good);
      for (const answers of good) this.#settle(answers);
    }
    return todo;
  }

  #settle(answers: ImageAnswers): Florence2Error | undefined {
    return this.#attempt(answers.file, () => this.command.settle?.(answers));
  }

  /** Does something for one image; an error of its own files is noted. @returns that error */
  #attempt(file: string, work: () => void): Florence2Error | undefined {
    try {
      work();
      return undefined;
    } catch (error) {
      if (!isOfOneFile(error)) throw error;
      this.fail(file, error);
      return error;
    }
  }

  #asked({ file, bytes, modified }: ImageFile) {
    return { file, bytes, modified, given: this.command.given?.(file) };
  }
}

function isOfOneFile(error: unknown): error is Florence2Error {
  if (!(error instanceof Florence2Error)) return false;
  if (error.code === "file_unreadable") return true;
  return error.code === "file_unwritable" && OF_ONE_FILE.includes(String(error.details.reason));
}

function countCut(log: AnswerLog, images: readonly ImageFile[]): number {
  let cut = 0;
  for (const { answers } of log.read(new Set(images.map(({ file }) => file)))) {
    cut += answers.filter(({ finishReason }) => finishReason === "length").length;
  }
  return cut;
}
