import { appendFileSync, closeSync, fsyncSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { Florence2Error } from "florence2-webgpu";
import type { Row } from "./rows.ts";

type Line =
  /** Images that are begun. */
  | { readonly open: readonly number[] }
  /** Images that were begun and left, in good order. */
  | { readonly left: readonly number[] }
  | { readonly rows: readonly (readonly [index: number, row: Row])[] };

/** In how many processes that died an image was at work. */
interface Crashes {
  /** With others. */
  readonly together: number;
  readonly alone: number;
}

/**
 * What is done of a chunk, in a file that grows: the rows so far, and the images that are at work, by which a process
 * that dies tells the next one what it was about. Half a line, which a crash leaves, is passed over. Two processes may
 * write to one file: rows of an image are equal.
 */
export class Checkpoint {
  readonly path: string;
  readonly rows = new Map<number, Row>();
  /** Images that were at work when a process died. */
  readonly suspects = new Map<number, Crashes>();

  constructor(path: string) {
    this.path = path;
    for (const line of linesOf(path)) this.#read(line);
    for (const index of this.rows.keys()) this.suspects.delete(index);
  }

  open(indices: readonly number[]): void {
    this.#append({ open: indices });
  }

  leave(indices: readonly number[]): void {
    this.#append({ left: indices });
  }

  /** The rows are on the disk when this returns. */
  add(rows: readonly (readonly [number, Row])[]): void {
    this.#append({ rows }, true);
    for (const [index, row] of rows) this.rows.set(index, row);
  }

  remove(): void {
    rmSync(this.path, { force: true });
  }

  #read(line: Line): void {
    if ("rows" in line) for (const [index, row] of line.rows) this.rows.set(index, row);
    else if ("open" in line) {
      const isAlone = line.open.length === 1;
      for (const index of line.open) {
        const { together, alone } = this.suspects.get(index) ?? { together: 0, alone: 0 };
        this.suspects.set(
          index,
          isAlone ? { together, alone: alone + 1 } : { together: together + 1, alone },
        );
      }
    } else for (const index of line.left) this.suspects.delete(index);
  }

  #append(line: Line, isSafe = false): void {
    try {
      mkdirSync(dirname(this.path), { recursive: true });
      const file = openSync(this.path, "a");
      try {
        // The line break before ends what a crash left half.
        appendFileSync(file, `\n${JSON.stringify(line)}\n`);
        if (isSafe) fsyncSync(file);
      } finally {
        closeSync(file);
      }
    } catch (error) {
      const message = `${this.path} cannot be written: ${(error as Error).message}. What is done is kept; free some space, then start the same command again.`;
      throw new Florence2Error("file_unreadable", message, { path: this.path }, error);
    }
  }
}

function* linesOf(path: string): Generator<Line> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return;
  }
  for (const line of text.split("\n").filter(Boolean)) {
    try {
      yield JSON.parse(line);
    } catch {
      // Half a line.
    }
  }
}
