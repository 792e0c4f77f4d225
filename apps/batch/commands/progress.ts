import type { Row } from "../chunk/rows.ts";
import type { ChunkEnd } from "../chunk/run_chunk.ts";
import type { RunPlan } from "../plan/plan.ts";

/** Milliseconds between two lines; in a terminal one line gives way to the next. */
const PAUSE = { terminal: 200, file: 10_000 };

/** The progress line of a worker: images a second, and the time left if this worker does the rest alone. */
export class WorkProgress {
  readonly #isQuiet: boolean;
  readonly #started = performance.now();
  #total: number | undefined;
  #done = 0;
  #errors = 0;
  #said = 0;

  constructor(isQuiet: boolean) {
    this.#isQuiet = isQuiet;
  }

  /** Of one run, of which so many chunks are missing. */
  begin(plan: RunPlan, missing: number): void {
    this.#total = Math.min(plan.items, missing * plan.chunkSize);
    this.note(`${plan.chunks - missing} of ${plan.chunks} chunks are done already`);
  }

  add(rows: readonly Row[]): void {
    this.#done += rows.length;
    this.#errors += rows.filter(({ status }) => status === "error").length;
    const pause = process.stderr.isTTY ? PAUSE.terminal : PAUSE.file;
    if (this.#isQuiet || performance.now() - this.#said < pause) return;
    this.#said = performance.now();
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${this.line}` : `${this.line}\n`);
  }

  endChunk(end: ChunkEnd, plan: RunPlan): void {
    // Another worker did it.
    if (end.state === "there" && this.#total !== undefined) this.#total -= plan.chunkSize;
  }

  note(text: string): void {
    if (!this.#isQuiet) process.stderr.write(`${process.stderr.isTTY ? "\r\x1b[K" : ""}${text}\n`);
  }

  get line(): string {
    const speed = this.#done / ((performance.now() - this.#started) / 1000);
    const left = this.#total === undefined ? undefined : Math.max(this.#total - this.#done, 0) / speed;
    const of = this.#total === undefined ? "" : ` of ${Math.max(this.#total, this.#done)}`;
    const time = left === undefined ? "" : `, ${clock(left)} left`;
    return `${this.#done}${of} images, ${this.#errors} without an answer, ${speed.toFixed(1)} a second${time}`;
  }
}

/** `clock(75)` → 1:15, `clock(4000)` → 1 h 07 */
export function clock(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  if (minutes >= 60) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")}`;
  return `${minutes}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}
