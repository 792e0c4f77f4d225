/** The work itself: one chunk from its images to its rows. */
import type { Checkpoint } from "florence2-server/chunks";
import { Florence2Error, type ImageInput, type Result } from "florence2-webgpu";
import type { Item, RunPlan } from "../plan/plan.ts";
import { errorRow, type Row, rowOf } from "./rows.ts";

/** The methods of a model that a chunk uses; `Florence2` has them. */
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
  readonly checkpoint: Checkpoint<Row>;
  readonly signal: AbortSignal;
  /** Called with the rows of each group, once they are safe. */
  readonly onRows?: (rows: readonly Row[]) => void;
}

/**
 * Images that are asked about in one call, which prepares some while it answers others. Blocks are the same in every
 * try: the last digits of a confidence depend on the images that are computed beside.
 */
export const BLOCK = 32;

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
  const groups = checkpoint.groups(items.length, BLOCK);
  let next = loadGroup(items, groups[0] ?? [], options);
  for (const [i, group] of groups.entries()) {
    signal.throwIfAborted();
    const loaded = await next;
    // Bytes of the next images come while the model is at work on these.
    next = loadGroup(items, groups[i + 1] ?? [], options);
    await computeGroup(plan, items, group, loaded, options);
  }
  for (const { index, crashes } of checkpoint.crashed(items.length)) {
    const message = `The process ended ${crashes} times while it was at work on this image.`;
    addRows(options, [[index, errorRow(plan, items[index]!, "crashed", message)]]);
  }
  return items.map((_, index) => checkpoint.rows.get(index)!);
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
    // The process lives: none of these images ends it.
    checkpoint.leave(group);
    throw error;
  }
}

function addRows({ checkpoint, onRows }: ComputeOptions, rows: readonly (readonly [number, Row])[]): void {
  checkpoint.add(rows);
  onRows?.(rows.map(([, row]) => row));
}
