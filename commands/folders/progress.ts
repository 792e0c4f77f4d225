import { note, showProgress } from "../terminal.ts";
import type { Outcome } from "./answer_images.ts";

export const PROGRESS = ["bar", "json", "none"] as const;
export type ProgressKind = (typeof PROGRESS)[number];

/** Tells how far a run is: in a terminal a line that is redrawn, elsewhere a line for every tenth, or JSON. */
export class FolderProgress {
  readonly #kind: ProgressKind;
  readonly #total: number;
  readonly #before: number;
  readonly #started = performance.now();
  #done = 0;
  #failed = 0;
  #tenths = 0;

  /**
   * @param total images of the run
   * @param before images that an earlier run has answered
   */
  constructor(kind: ProgressKind, total: number, before: number) {
    this.#kind = kind;
    this.#total = total;
    this.#before = before;
  }

  /** Images a second in this run. */
  get rate(): number {
    return this.#done / ((performance.now() - this.#started) / 1000);
  }

  add(outcome: Outcome): void {
    this.#done++;
    const isError = "error" in outcome;
    if (isError) this.#failed++;
    const done = this.#before + this.#done;
    if (this.#kind === "json") process.stdout.write(`${JSON.stringify(this.#event(outcome, done))}\n`);
    if (this.#kind !== "bar") return;
    const left = (this.#total - done) / this.rate;
    const failed = this.#failed > 0 ? `, ${this.#failed} failed` : "";
    const line = `${done}/${this.#total} images, ${this.rate.toFixed(1)}/s, ${clock(left)} left${failed}`;
    if (process.stderr.isTTY) showProgress(line);
    else if (Math.floor((10 * done) / this.#total) > this.#tenths) {
      this.#tenths = Math.floor((10 * done) / this.#total);
      note(line);
    }
  }

  #event(outcome: Outcome, done: number) {
    const { file } = outcome.image;
    const place = { file, done, total: this.#total };
    if ("error" in outcome) {
      return { ...place, error: { code: outcome.error.code, message: outcome.error.message } };
    }
    const { width, height, answers } = outcome.answers;
    const objects = answers.reduce((sum, own) => sum + own.objects.length, 0);
    return { ...place, width, height, answers: answers.length, objects };
  }
}

/** Minutes and seconds, or hours and minutes: 75 → 1:15, 4000 → 1 h 07. */
function clock(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  if (minutes >= 60) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")}`;
  return `${minutes}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}
