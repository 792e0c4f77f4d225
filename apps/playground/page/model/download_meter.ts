import type { ProgressEvent } from "florence2-webgpu";
import { bytes, duration } from "../words.ts";

/** How far loading is. */
export interface Progress {
  readonly text: string;
  /** Percent; it never falls. */
  readonly percent: number;
}

/** Milliseconds over which the speed is measured. */
const WINDOW = 5000;

/** Turns the events of loading into a line for people: bytes, speed, time left. */
export class DownloadMeter {
  #samples: { at: number; loaded: number }[] = [];
  /** Bytes of each file that were here before. */
  readonly #before = new Map<string, number>();
  #percent = 0;
  #stage = "";

  /** @param now milliseconds */
  take(event: ProgressEvent, now = performance.now()): Progress | undefined {
    if (event.status === "progress_total") {
      this.#enter("download");
      for (const [file, { loaded }] of Object.entries(event.files))
        if (loaded > 0 && !this.#before.has(file)) this.#before.set(file, loaded);
      const before = [...this.#before.values()].reduce((sum, size) => sum + size, 0);
      this.#samples.push({ at: now, loaded: event.loaded - before });
      while (this.#samples.length > 2 && this.#samples[0]!.at < now - WINDOW) this.#samples.shift();
      return this.#told(
        `${bytes(event.loaded)} of ${bytes(event.total)}${this.#pace(event.total - event.loaded)}`,
        event.progress,
      );
    }
    if (event.status === "load") {
      this.#enter("load");
      return this.#told(`Loading ${bytes(event.loaded)} of ${bytes(event.total)}`, event.progress);
    }
    return undefined;
  }

  #enter(stage: string): void {
    if (this.#stage !== stage) this.#percent = 0;
    this.#stage = stage;
  }

  #told(text: string, percent: number): Progress {
    this.#percent = Math.max(this.#percent, percent);
    return { text, percent: this.#percent };
  }

  /** @param left bytes */
  #pace(left: number): string {
    const [first, last] = [this.#samples[0]!, this.#samples.at(-1)!];
    const seconds = (last.at - first.at) / 1000;
    const speed = (last.loaded - first.loaded) / seconds;
    if (!(seconds > 0.5 && speed > 0)) return "";
    return ` · ${bytes(speed)}/s · ${duration((1000 * left) / speed)} left`;
  }
}
