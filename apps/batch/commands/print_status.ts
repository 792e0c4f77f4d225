import type { RunStatus } from "../results/status.ts";
import { clock } from "./progress.ts";

export function printStatus(status: RunStatus): string {
  const { run, state, chunks, images, errorCodes, imagesPerSecond, secondsLeft, workers } = status;
  const share = images.total === 0 ? 100 : Math.floor((100 * images.done) / images.total);
  const lines = [
    `run ${run.slice(0, 12)}: ${state}`,
    `images: ${images.done} of ${images.total} (${share} %), ${images.errors} without an answer`,
    `chunks: ${chunks.done} of ${chunks.total}`,
    ...(imagesPerSecond === null ? [] : [`speed: ${imagesPerSecond.toFixed(1)} images a second`]),
    ...(secondsLeft ? [`left: ${clock(secondsLeft)}`] : []),
    ...Object.entries(errorCodes).map(([code, count]) => `error ${code}: ${count}`),
    ...Object.entries(workers).map(
      ([name, own]) => `worker ${name}: ${own.images} images in ${own.chunks} chunks`,
    ),
  ];
  return `${lines.join("\n")}\n`;
}
