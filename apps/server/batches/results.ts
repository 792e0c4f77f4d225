import { createReadStream } from "node:fs";
import { type FileHandle, open, rm, stat, truncate } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { BatchResult } from "./batch.ts";

/** Lines after which what is written goes to the disk; a crash of the process alone loses none. */
const LINES_PER_SYNC = 100;

/** A growing file of results. After a crash it is opened again, without a last line that is torn. */
export class ResultsFile {
  readonly path: string;
  #file: FileHandle | undefined;
  #writing: Promise<void> = Promise.resolve();
  #lines = 0;

  constructor(path: string) {
    this.path = path;
  }

  /** Tells of each result that is there. */
  async open(onResult: (result: BatchResult) => void): Promise<void> {
    const size = (await stat(this.path).catch(() => undefined))?.size ?? 0;
    let whole = 0;
    if (size > 0) {
      const input = createReadStream(this.path);
      for await (const line of createInterface({ input })) {
        const end = whole + Buffer.byteLength(line) + 1;
        if (end > size) break;
        onResult(JSON.parse(line) as BatchResult);
        this.#lines++;
        whole = end;
      }
      input.destroy();
      if (whole < size) await truncate(this.path, whole);
    }
    this.#file = await open(this.path, "a", 0o600);
  }

  get lines(): number {
    return this.#lines;
  }

  append(result: BatchResult): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      await this.#file!.write(`${JSON.stringify(result)}\n`);
      if (++this.#lines % LINES_PER_SYNC === 0) await this.#file!.datasync();
    });
    return this.#writing;
  }

  /** Ends the file, or removes it if it has no lines. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#file?.datasync();
    await this.#file?.close();
    this.#file = undefined;
    if (this.#lines === 0) await rm(this.path, { force: true });
  }
}
