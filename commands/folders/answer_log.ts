import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { Florence2Error } from "../../core/errors.ts";
import type { ImageAnswers } from "../../datasets/answers.ts";

/** The inputs that determine answers: one file holds answers of one origin only. */
export type Origin = Readonly<Record<string, string | number | boolean | null>>;

const BLOCK = 1 << 20;
const NEWLINE = 0x0a;

/** Where the line of an image stands in the file, in bytes. */
interface Place {
  readonly offset: number;
  readonly length: number;
  /** Of the image file. */
  readonly bytes: number;
}

/**
 * Answers in a JSONL file that grows as they come: the first line says where they are from, each other line is an
 * `ImageAnswers`. What is in the file survives any end of the program; half a last line is cut off. Lines stay on
 * disk: memory holds their places alone.
 */
export class AnswerLog {
  readonly path: string;
  readonly #fd: number;
  readonly #places = new Map<string, Place>();
  #size: number;
  #isSorted = true;
  #last = "";

  /**
   * Opens the file, or begins it.
   *
   * @param fresh drops what an earlier run left
   * @throws {Florence2Error} `data_invalid` if the file is of another origin, or none of answers
   */
  constructor(path: string, origin: Origin, { fresh = false } = {}) {
    this.path = path;
    mkdirSync(dirname(path), { recursive: true });
    if (fresh) rmSync(path, { force: true });
    this.#fd = openSync(path, existsSync(path) ? "r+" : "wx+");
    try {
      this.#size = this.#readLines(origin);
      if (this.#places.size === 0) this.#size = 0;
      ftruncateSync(this.#fd, this.#size);
      if (this.#size === 0) this.#write(`${JSON.stringify({ origin })}\n`);
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  /** How many images are answered. */
  get count(): number {
    return this.#places.size;
  }

  /** Whether an image, with these many bytes, is answered. */
  has(file: string, bytes: number): boolean {
    return this.#places.get(file)?.bytes === bytes;
  }

  /** Adds lines in one piece; they are on the disk when this returns. */
  append(lines: readonly ImageAnswers[]): void {
    if (lines.length === 0) return;
    const texts = lines.map((line) => Buffer.from(`${JSON.stringify(line)}\n`));
    const from = this.#size;
    this.#write(Buffer.concat(texts));
    let offset = from;
    for (const [i, text] of texts.entries()) {
      this.#keep(lines[i]!.file, { offset, length: text.length, bytes: lines[i]!.bytes });
      offset += text.length;
    }
  }

  /** The answers about some images, in the order of their names. */
  *read(files: ReadonlySet<string> = new Set(this.#places.keys())): Generator<ImageAnswers> {
    for (const file of [...this.#places.keys()].sort()) if (files.has(file)) yield this.find(file)!;
  }

  find(file: string): ImageAnswers | undefined {
    const place = this.#places.get(file);
    return place && (JSON.parse(this.#text(place.offset, place.length)) as ImageAnswers);
  }

  /** Closes the file, its lines in the order of names, each image once. */
  finish(): void {
    if (!this.#isSorted) {
      const sorted = `${this.path}.part`;
      const fd = openSync(sorted, "w");
      const first = Buffer.alloc(this.#firstLine());
      readSync(this.#fd, first, 0, first.length, 0);
      writeSync(fd, first);
      for (const file of [...this.#places.keys()].sort()) {
        const { offset, length } = this.#places.get(file)!;
        writeSync(fd, this.#text(offset, length));
      }
      fsyncSync(fd);
      closeSync(fd);
      renameSync(sorted, this.path);
    }
    this.close();
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Notes the places of all complete lines; returns where they end. A file without answers is of any origin. */
  #readLines(origin: Origin): number {
    const total = fstatSync(this.#fd).size;
    const block = Buffer.alloc(BLOCK);
    let pending = Buffer.alloc(0);
    let [offset, isFirst] = [0, true];
    let found: Origin | undefined;
    for (let at = 0; at < total; ) {
      const read = readSync(this.#fd, block, 0, BLOCK, at);
      at += read;
      pending = Buffer.concat([pending, block.subarray(0, read)]);
      for (let end = pending.indexOf(NEWLINE); end >= 0; end = pending.indexOf(NEWLINE)) {
        const value = this.#parse(pending.toString("utf8", 0, end), offset);
        if (isFirst) found = value.origin;
        else if (this.#places.size === 0) this.#expectOrigin(found, origin);
        if (!isFirst) this.#keep(value.file, { offset, length: end + 1, bytes: value.bytes });
        isFirst = false;
        offset += end + 1;
        pending = pending.subarray(end + 1);
      }
    }
    return offset;
  }

  #parse(line: string, offset: number) {
    try {
      return JSON.parse(line) as ImageAnswers & { origin?: Origin };
    } catch (error) {
      const message = `${this.path} is broken at byte ${offset}. Delete it, or begin anew with --restart.`;
      throw new Florence2Error("data_invalid", message, { path: this.path, offset }, error);
    }
  }

  #expectOrigin(found: Origin | undefined, origin: Origin): void {
    for (const [name, expected] of Object.entries(origin)) {
      if (found && found[name] === expected) continue;
      throw new Florence2Error(
        "data_invalid",
        `${this.path} holds answers with ${name} ${JSON.stringify(found?.[name])}, now it is ${JSON.stringify(expected)}. ` +
          "Choose another folder with --out, or drop those answers with --restart.",
        { path: this.path, name, found: found?.[name], expected },
      );
    }
  }

  #keep(file: string, place: Place): void {
    // An image that changed is answered again; its earlier line counts no more.
    if (file <= this.#last || this.#places.has(file)) this.#isSorted = false;
    this.#last = file;
    this.#places.set(file, place);
  }

  #firstLine(): number {
    const block = Buffer.alloc(BLOCK);
    const read = readSync(this.#fd, block, 0, BLOCK, 0);
    return block.subarray(0, read).indexOf(NEWLINE) + 1;
  }

  #text(offset: number, length: number): string {
    const bytes = Buffer.alloc(length);
    readSync(this.#fd, bytes, 0, length, offset);
    return bytes.toString("utf8");
  }

  #write(content: string | Buffer): void {
    const bytes = Buffer.from(content as string);
    writeSync(this.#fd, bytes, 0, bytes.length, this.#size);
    fsyncSync(this.#fd);
    this.#size += bytes.length;
  }
}
