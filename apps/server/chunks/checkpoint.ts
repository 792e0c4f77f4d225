import { appendFileSync, closeSync, fsyncSync, openSync, readFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { Florence2Error } from "florence2-webgpu";
import { makeFolder } from "../files/make_folder.ts";

type Line<Row> =
  /** Entries that are begun. */
  | { readonly open: readonly number[] }
  /** Entries that were begun and left, in good order. */
  | { readonly left: readonly number[] }
  /** Entries that were begun by a process that died while this one, which watched it, lived. */
  | { readonly died: readonly number[] }
  | { readonly rows: readonly (readonly [index: number, row: Row])[] };

/** How many processes died while an entry was at work. */
export interface Deaths {
  /** With other entries at work. */
  readonly together: number;
  readonly alone: number;
  /** Seen by another process, which lived on: the entries were the reason, and not what ended the machine or all of its processes. */
  readonly seenTogether: number;
  readonly seenAlone: number;
}

const NONE: Deaths = { together: 0, alone: 0, seenTogether: 0, seenAlone: 0 };
/** Milliseconds between two waits for the disk: a loss of power costs as much work at most. */
const SYNC = 2000;

/**
 * What is done of a chunk, in a file that grows: the rows so far, and the entries that are at work, by which a process
 * that dies tells the next one what it was about. Half a line, which a crash leaves, is passed over. Two processes may
 * write to one file: rows of an entry are equal.
 */
export class Checkpoint<Row> {
  readonly path: string;
  readonly rows = new Map<number, Row>();
  /** Entries that were at work when a process died. */
  readonly #suspects = new Map<number, Deaths>();
  #synced = Date.now();

  constructor(path: string) {
    this.path = path;
    for (const line of linesOf<Row>(path)) this.#read(line);
    for (const index of this.rows.keys()) this.#suspects.delete(index);
  }

  /** The processes that died at an entry without a row. */
  deathsOf(index: number): Deaths {
    return this.#suspects.get(index) ?? NONE;
  }

  open(indices: readonly number[]): void {
    this.#append({ open: indices });
  }

  leave(indices: readonly number[]): void {
    this.#append({ left: indices });
  }

  /** Another process was at work on these for this one, and died. */
  died(indices: readonly number[]): void {
    this.#append({ died: indices });
    this.#read({ open: indices });
    this.#read({ died: indices });
  }

  /** The rows outlast this process when this returns; those of two seconds ago, a loss of power as well. */
  add(rows: readonly (readonly [number, Row])[]): void {
    const isDue = Date.now() - this.#synced >= SYNC;
    this.#append({ rows }, isDue);
    if (isDue) this.#synced = Date.now();
    for (const [index, row] of rows) this.rows.set(index, row);
  }

  remove(): void {
    rmSync(this.path, { force: true });
  }

  #read(line: Line<Row>): void {
    if ("rows" in line) for (const [index, row] of line.rows) this.rows.set(index, row);
    else if ("open" in line) this.#count(line.open, 1, 0);
    else if ("left" in line) this.#count(line.left, -1, 0);
    else this.#count(line.died, -1, 1);
  }

  #count(indices: readonly number[], unseen: number, seen: number): void {
    const isAlone = indices.length === 1;
    for (const index of indices) {
      const known = this.deathsOf(index);
      const own = isAlone
        ? { alone: known.alone + unseen, seenAlone: known.seenAlone + seen }
        : { together: known.together + unseen, seenTogether: known.seenTogether + seen };
      this.#suspects.set(index, { ...known, ...own });
    }
  }

  #append(line: Line<Row>, isSynced = false): void {
    try {
      makeFolder(dirname(this.path));
      const file = openSync(this.path, "a");
      try {
        // The line break before ends what a crash left half.
        appendFileSync(file, `\n${JSON.stringify(line)}\n`);
        if (isSynced) fsyncSync(file);
      } finally {
        closeSync(file);
      }
    } catch (error) {
      const message = `${this.path} cannot be written: ${(error as Error).message}. What is done is kept; free some space, then start the same command again.`;
      throw new Florence2Error("file_unreadable", message, { path: this.path }, error);
    }
  }
}

function* linesOf<Row>(path: string): Generator<Line<Row>> {
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
