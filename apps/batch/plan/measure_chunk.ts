import type { BatchModel, LoadItem } from "../chunk/compute.ts";
import { CALL } from "../chunk/left.ts";
import { isFatal } from "../chunk/rows.ts";
import type { Item, RunSettings } from "./plan.ts";

/** Seconds of work that a chunk is to have: its queue costs nothing beside, and a worker that dies loses little. */
const SECONDS = 60;
const IMAGES = 16;
const MOST = 4096;

export interface MeasuredChunk {
  readonly chunkSize: number;
  readonly imagesPerSecond: number;
}

/**
 * How many images this machine computes in a minute, by sixteen of the list from its beginning to its end. The model has
 * answered about one of them before, so that what happens once is not counted.
 *
 * @returns undefined if none of them has an answer
 */
export async function measureChunk(
  model: BatchModel,
  items: readonly Item[],
  { task, text, numBeams, maxNewTokens }: Omit<RunSettings, "chunkSize">,
  load: LoadItem,
  signal: AbortSignal,
): Promise<MeasuredChunk | undefined> {
  const count = Math.min(IMAGES, items.length);
  const some = Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]!);
  const ask = async (asked: readonly Item[]) => {
    const questions = await Promise.all(
      asked.map(async (item) => {
        const image = await load(item, signal).catch(() => undefined);
        const { region, text: own = region === undefined ? text : undefined } = item;
        return image === undefined ? [] : [{ image, task, text: own, region }];
      }),
    );
    const options = { onError: "return" as const, numBeams, maxNewTokens, signal };
    const results = await model.runBatch(questions.flat(), options);
    for (const result of results) if (isFatal(result)) throw result;
    return results.filter((result) => !(result instanceof Error)).length;
  };
  await ask(some.slice(0, 1));
  const began = performance.now();
  const answered = await ask(some);
  if (answered === 0) return undefined;
  const imagesPerSecond = (1000 * answered) / (performance.now() - began);
  return { chunkSize: chunkOf(imagesPerSecond), imagesPerSecond };
}

/** `chunkOf(0.5)` → 30, `chunkOf(3)` → 192: whole calls where there are some */
export function chunkOf(imagesPerSecond: number): number {
  const images = Math.min(MOST, Math.max(1, Math.round(imagesPerSecond * SECONDS)));
  return images < CALL ? images : Math.round(images / CALL) * CALL;
}
