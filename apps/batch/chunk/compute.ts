/** The work itself: one chunk from its images to its rows. */
import { Florence2Error, type ImageInput, type Result } from "florence2-webgpu";
import type { Item, RunPlan } from "../plan/plan.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { errorRow, type Row, rowOf } from "./rows.ts";

/** What a model must be able to do; `Florence2` is one. */
export interface BatchModel {
  runBatch(
    items: readonly {
      readonly image: ImageInput;
      readonly task: string;
      readonly text?: string;
      readonly region?: Item["region"];
    }[],
    options: {
      readonly onError: "return";
      readonly numBeams?: number;
      readonly maxNewTokens?: number;
      readonly signal?: AbortSignal;
    },
  ): Promise<(Result | Florence2Error)[]>;
  dispose(): Promise<void> | void;
}

/** Gets the bytes of an image, or the path that they are read from. */
export type LoadItem = (item: Item, signal: AbortSignal) => Promise<ImageInput>;

export interface ComputeOptions {
  readonly model: BatchModel;
  readonly load: LoadItem;
  readonly checkpoint: Checkpoint;
  readonly signal: AbortSignal;
  /** Called with the rows of each group, once they are safe. */
  readonly onRows?: (rows: readonly Row[]) => void;
}

/**
 * Images that are asked about in one call, which prepares some while it answers others. Blocks are the same in every
 * try: the last digits of a confidence depend on the images that are computed beside.
 */
const BLOCK = 32;
/** After so many deaths of processes the images of a block are asked about one by one. */
const MAX_TOGETHER = 2;
/** After so many an image is taken for the reason. */
const MAX_CRASHES = 4;

/**
 * One row for each image, in their order. What the checkpoint has is not computed again. An image that keeps ending
 * processes gets an error of the code `crashed`.
 *
 * @throws {Florence2Error} if the device fails; the signal's reason if it aborts
 */
export async function computeChunk(
  plan: RunPlan,
  items: readonly Item[],
  options: ComputeOptions,
): Promise<Row[]> {
  const { checkpoint, signal } = options;
  const groups = groupsOf(items.length, checkpoint);
  let next = loadGroup(items, groups[0] ?? [], options);
  for (const [i, group] of groups.entries()) {
    signal.throwIfAborted();
    const loaded = await next;
    // Bytes of the next images come while the model is at work on these.
    next = loadGroup(items, groups[i + 1] ?? [], options);
    await computeGroup(plan, items, group, loaded, options);
  }
  for (const [index, { together, alone }] of checkpoint.suspects) {
    if (checkpoint.rows.has(index) || index >= items.length) continue;
    const message = `The process ended ${together + alone} times while it was at work on this image.`;
    addRows(options, [[index, errorRow(plan, items[index]!, "crashed", message)]]);
  }
  return items.map((_, index) => checkpoint.rows.get(index)!);
}

/** What is left to ask, in blocks; blocks that have ended processes come last, and image by image. */
function groupsOf(count: number, { rows, suspects }: Checkpoint): number[][] {
  const blocks: number[][] = [];
  const single: number[][] = [];
  for (let from = 0; from < count; from += BLOCK) {
    const block = [...Array(Math.min(BLOCK, count - from)).keys()]
      .map((i) => from + i)
      .filter((index) => !rows.has(index));
    const crashes = block.map((index) => suspects.get(index) ?? { together: 0, alone: 0 });
    if (crashes.every(({ together, alone }) => together < MAX_TOGETHER && alone === 0)) {
      if (block.length > 0) blocks.push(block);
      continue;
    }
    for (const [i, { together, alone }] of crashes.entries())
      if (together + alone < MAX_CRASHES) single.push([block[i]!]);
  }
  return [...blocks, ...single];
}

type Loaded = ReadonlyMap<number, { readonly image: ImageInput } | Florence2Error>;

/** Failures are met when the group is due. */
function loadGroup(
  items: readonly Item[],
  group: readonly number[],
  { load, signal }: ComputeOptions,
): Promise<Loaded> {
  const loaded = Promise.all(
    group.map(async (index) => {
      try {
        return [index, { image: await load(items[index]!, signal) }] as const;
      } catch (error) {
        if (signal.aborted || !(error instanceof Florence2Error)) throw error;
        return [index, error] as const;
      }
    }),
  );
  const all = loaded.then(
    (entries): Loaded => new Map<number, { readonly image: ImageInput } | Florence2Error>(entries),
  );
  all.catch(() => {});
  return all;
}

async function computeGroup(
  plan: RunPlan,
  items: readonly Item[],
  group: readonly number[],
  loaded: Loaded,
  options: ComputeOptions,
): Promise<void> {
  const { model, checkpoint, signal } = options;
  const { task, numBeams, maxNewTokens } = plan;
  checkpoint.open(group);
  try {
    const found = new Map<number, Result | Florence2Error>();
    const questions = group.flatMap((index) => {
      const own = loaded.get(index)!;
      if (own instanceof Florence2Error) {
        found.set(index, own);
        return [];
      }
      const { region, text = region === undefined ? plan.text : undefined } = items[index]!;
      return [{ index, image: own.image, task, text, region }];
    });
    if (questions.length > 0) {
      const results = await model.runBatch(
        questions.map(({ index: _, ...question }) => question),
        { onError: "return", numBeams, maxNewTokens, signal },
      );
      for (const [i, { index }] of questions.entries()) found.set(index, results[i]!);
    }
    addRows(
      options,
      group.map((index) => [index, rowOf(plan, items[index]!, found.get(index)!)] as const),
    );
  } catch (error) {
    // The process lives: these images are not what ends it.
    checkpoint.leave(group);
    throw error;
  }
}

function addRows({ checkpoint, onRows }: ComputeOptions, rows: readonly (readonly [number, Row])[]): void {
  checkpoint.add(rows);
  onRows?.(rows.map(([, row]) => row));
}
