import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
} from "node:fs";
import { dirname } from "node:path";
import { Florence2Error, quote } from "../../core/errors.ts";
import type { ImageAnswers } from "../../datasets/answers.ts";
import type { LabelledObject } from "../../datasets/labelled.ts";
import { makeFolder } from "../../files/make_folder.ts";
import { partOf, unwritable, writeAll } from "./replace_file.ts";

/** Inputs of a run by their names. */
export type Origin = Readonly<Record<string, string | number | boolean | null>>;

export interface AnswerLogOptions {
  /**
   * What determines the files that are made of answers, where files that are there count: answers of an earlier run
   * with other inputs are known, but its images are not done.
   */
  readonly run?: Origin;
  /** Drops what an earlier run left. */
  readonly fresh?: boolean;
  /** Drops answers of another origin; otherwise they are an error. */
  readonly replaces?: boolean;
}

/** What tells an image from another one of its name. */
export interface AnsweredImage {
  readonly file: string;
  readonly bytes: number;
  /** When it was written, in milliseconds since 1970; early files of answers do not say. */
  readonly modified?: number | undefined;
  /** The things that it is asked about, where they are given. */
  readonly given?: readonly LabelledObject[] | undefined;
}

/** Where the line of an image stands in the file, in bytes. */
interface Place {
  readonly offset: number;
  readonly length: number;
  readonly key: string;
  readonly modified: number | undefined;
  /** Counts the runs in the file. */
  readonly run: number;
}

type Line = Partial<ImageAnswers> & { readonly origin?: Origin; readonly run?: Origin };

const BLOCK = 1 << 20;
const NEWLINE = 0x0a;

/**
 * Answers in a JSONL file that grows as they come: the first line says where they are from, a line `{ run }` begins a
 * run with other inputs, each other line is an `ImageAnswers`. What is in the file survives any end of the program;
 * half a last line is cut off. Lines stay on disk: memory holds their places alone.
 */
export class AnswerLog {
  readonly path: string;
  readonly #fd: number;
  readonly #run: Origin | undefined;
  readonly #places = new Map<string, Place>();
  #runs = 0;
  #size = 0;
  #isSorted = true;
  #isNewRun = false;
  /** The last image, and the last line of a run, in the file as it was found. */
  #last = "";
  #lastRun = "";

  /**
   * Opens the file, or begins it.
   *
   * @param origin what determines answers: one file holds answers of one origin only
   * @throws {Florence2Error} `data_invalid` if the file is of another origin, or none of answers; `file_unwritable`
   */
  constructor(path: string, origin: Origin, { run, fresh = false, replaces = false }: AnswerLogOptions = {}) {
    this.path = path;
    this.#run = run;
    try {
      makeFolder(dirname(path));
      if (fresh) rmSync(path, { force: true });
      this.#fd = openSync(path, existsSync(path) ? "r+" : "wx+");
    } catch (error) {
      throw unwritable(path, error);
    }
    try {
      const found = this.#readLines();
      const other = found && Object.keys(origin).find((name) => found[name] !== origin[name]);
      if (other !== undefined && this.#places.size > 0 && !replaces) {
        throw otherOrigin(path, other, found?.[other], origin[other]);
      }
      if (other !== undefined) this.#places.clear();
      // Without answers, what the first line says does not matter.
      if (this.#places.size === 0) {
        [this.#size, this.#runs, this.#last] = [0, 0, ""];
        this.#isSorted = true;
      }
      ftruncateSync(this.#fd, this.#size);
      if (this.#size === 0) this.#write(`${JSON.stringify({ origin })}\n`);
      if (run) this.#beginRun(run);
    } catch (error) {
      closeSync(this.#fd);
      throw unwritable(path, error);
    }
  }

  /** How many images this run has answered. */
  get count(): number {
    return this.#own().length;
  }

  /** Whether inputs have changed since the run before. */
  get isNewRun(): boolean {
    return this.#isNewRun;
  }

  /** Whether this run has answered an image. */
  has(image: AnsweredImage): boolean {
    return this.#placeOf(image)?.run === this.#runs;
  }

  /** The answers of an earlier run about an image. */
  earlier(image: AnsweredImage): ImageAnswers | undefined {
    const place = this.#placeOf(image);
    return place && place.run !== this.#runs ? this.find(image.file) : undefined;
  }

  /** The checksum of the file that was answered about, if only the time of an image's file has changed since. */
  checksumBefore(image: AnsweredImage): string | undefined {
    const place = this.#places.get(image.file);
    const isOther = place?.key !== keyOf(image) || isWrittenAt(place, image);
    return isOther ? undefined : this.find(image.file)?.sha256;
  }

  /** Takes the answers about a file for those about one of the same content: only its time is another. */
  renew(images: readonly AnsweredImage[]): void {
    const own: ImageAnswers[] = [];
    for (const { file, modified } of images) {
      const place = this.#places.get(file)!;
      if (place.run === this.#runs) own.push({ ...this.find(file)!, modified: modified! });
      else this.#places.set(file, { ...place, modified });
    }
    this.append(own);
  }

  /** Adds lines in one piece; they are on the disk when this returns. */
  append(lines: readonly ImageAnswers[]): void {
    if (lines.length === 0) return;
    const texts = lines.map((line) => Buffer.from(`${JSON.stringify(line)}\n`));
    let offset = this.#size;
    this.#write(Buffer.concat(texts));
    for (const [i, text] of texts.entries()) {
      this.#keep(lines[i]!, { offset, length: text.length });
      offset += text.length;
    }
  }

  /** This run's answers about some images, in the order of their names. */
  *read(files: ReadonlySet<string>): Generator<ImageAnswers> {
    for (const file of this.#own()) if (files.has(file)) yield this.find(file)!;
  }

  /** This run's answers that were added last, at most so many. */
  last(count: number): ImageAnswers[] {
    const offset = (file: string) => this.#places.get(file)!.offset;
    const files = this.#own().sort((a, b) => offset(a) - offset(b));
    return files.slice(-count).map((file) => this.find(file)!);
  }

  find(file: string): ImageAnswers | undefined {
    const place = this.#places.get(file);
    return place && (JSON.parse(this.#text(place).toString("utf8")) as ImageAnswers);
  }

  /** Closes the file: answers of earlier runs first, each in the order of names, each image once. */
  finish(): void {
    try {
      if (!this.#isSorted) this.#sort();
    } catch (error) {
      throw unwritable(this.path, error);
    } finally {
      this.close();
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  #sort(): void {
    const sorted = partOf(this.path);
    const fd = openSync(sorted, "w");
    try {
      writeAll(fd, this.#text({ offset: 0, length: this.#firstLine() }));
      const files = [...this.#places.keys()].sort();
      const copy = (isOwn: boolean) => {
        for (const file of files) {
          const place = this.#places.get(file)!;
          if ((place.run === this.#runs) === isOwn) writeAll(fd, this.#text(place));
        }
      };
      copy(false);
      if (this.#run) writeAll(fd, Buffer.from(lineOfRun(this.#run)));
      copy(true);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(sorted, this.path);
  }

  #own(): string[] {
    return [...this.#places.keys()].filter((file) => this.#places.get(file)!.run === this.#runs).sort();
  }

  #beginRun(run: Origin): void {
    if (this.#runs > 0 && this.#lastRun === lineOfRun(run)) return;
    this.#isNewRun = true;
    if (this.#runs > 0) this.#isSorted = false;
    this.#write(lineOfRun(run));
    this.#runs++;
  }

  /** Keeps the places of all complete lines. @returns the origin in the first line */
  #readLines(): Origin | undefined {
    const total = fstatSync(this.#fd).size;
    const block = Buffer.alloc(BLOCK);
    let pending: Buffer[] = [];
    let [offset, isFirst] = [0, true];
    let found: Origin | undefined;
    const take = (line: Buffer) => {
      const value = this.#parse(line, offset);
      if (isFirst) found = value.origin ?? this.#expectAnswers();
      else if (value.run) {
        this.#runs++;
        this.#lastRun = lineOfRun(value.run);
      } else if (value.file !== undefined) {
        this.#keep(value as ImageAnswers, { offset, length: line.length });
      } else throw this.#broken(offset);
      isFirst = false;
      offset += line.length;
    };
    for (let at = 0; at < total; ) {
      const read = readSync(this.#fd, block, 0, BLOCK, at);
      if (read === 0) break;
      at += read;
      let from = 0;
      for (let end = block.indexOf(NEWLINE); end >= 0 && end < read; end = block.indexOf(NEWLINE, from)) {
        pending.push(Buffer.from(block.subarray(from, end + 1)));
        take(Buffer.concat(pending));
        pending = [];
        from = end + 1;
      }
      pending.push(Buffer.from(block.subarray(from, read)));
    }
    this.#size = offset;
    return found;
  }

  #parse(line: Buffer, offset: number): Line {
    try {
      return JSON.parse(line.toString("utf8")) as Line;
    } catch (error) {
      throw this.#broken(offset, error);
    }
  }

  #expectAnswers(): never {
    const message = `${this.path} is no file of answers; choose another folder with --out.`;
    throw new Florence2Error("data_invalid", message, { path: this.path });
  }

  #broken(offset: number, cause?: unknown): Florence2Error {
    const message = `${this.path} is broken at byte ${offset}. Delete it, or begin anew with --restart.`;
    return new Florence2Error("data_invalid", message, { path: this.path, offset }, cause);
  }

  #keep(image: AnsweredImage, at: { readonly offset: number; readonly length: number }): void {
    const { file } = image;
    // An image that changed is answered again; its earlier line counts no more.
    if (file <= this.#last || this.#places.has(file)) this.#isSorted = false;
    this.#last = file;
    this.#places.set(file, { ...at, key: keyOf(image), modified: image.modified, run: this.#runs });
  }

  #placeOf(image: AnsweredImage): Place | undefined {
    const place = this.#places.get(image.file);
    return place?.key === keyOf(image) && isWrittenAt(place, image) ? place : undefined;
  }

  #firstLine(): number {
    const block = Buffer.alloc(BLOCK);
    for (let from = 0; ; from += BLOCK) {
      const read = readSync(this.#fd, block, 0, BLOCK, from);
      const end = block.subarray(0, read).indexOf(NEWLINE);
      if (end >= 0) return from + end + 1;
    }
  }

  #text({ offset, length }: Pick<Place, "offset" | "length">): Buffer {
    const bytes = Buffer.alloc(length);
    for (let done = 0; done < length; ) done += readSync(this.#fd, bytes, done, length - done, offset + done);
    return bytes;
  }

  #write(content: string | Uint8Array): void {
    const bytes = Buffer.from(content as string);
    try {
      writeAll(this.#fd, bytes, this.#size);
      fsyncSync(this.#fd);
    } catch (error) {
      throw unwritable(this.path, error);
    }
    this.#size += bytes.length;
  }
}

const isWrittenAt = (known: Pick<Place, "modified">, { modified }: AnsweredImage) =>
  known.modified === undefined || known.modified === modified;

const lineOfRun = (run: Origin) => `${JSON.stringify({ run })}\n`;

/** Of an image: a file of another size, or other things to ask about, make another one. */
function keyOf({ bytes, given }: AnsweredImage): string {
  if (given === undefined) return String(bytes);
  return `${bytes} ${createHash("sha256").update(JSON.stringify(given)).digest("base64")}`;
}

function otherOrigin(path: string, name: string, found: unknown, expected: unknown): Florence2Error {
  const message =
    `${path} holds answers with ${name} ${quote(found)}, now it is ${quote(expected)}. ` +
    "Choose another folder with --out, or drop those answers with --restart.";
  return new Florence2Error("data_invalid", message, { path, name, found, expected });
}
