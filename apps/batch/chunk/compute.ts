/** The work itself: one chunk from its images to its rows. */
import type { Checkpoint } from "florence2-server/chunks";
import { Florence2Error, type ImageInput, type Result } from "florence2-webgpu";
import type { Item, RunPlan } from "../plan/plan.ts";
import { leftOf } from "./left.ts";
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
      readonly onResult?: (result: Result | Florence2Error, index: number) => void;
      readonly numBeams?: number;
      readonly maxNewTokens?: number;
      readonly signal?: AbortSignal;
    },
  ): Promise<(Result | Florence2Error)[]>;
  dispose(): Promise<void> | void;
}

/** Gets the bytes of an image, or the path that they are read from. */
export type LoadItem = (item: Item, signal: AbortSignal) => Promise<ImageInput>;

/** Has another process compute the rows of some images. Undefined if it died. */
export type Probe = (indices: readonly number[], signal: AbortSignal) => Promise<readonly Row[] | undefined>;

interface AnswerOptions {
  readonly load: LoadItem;
  readonly signal: AbortSignal;
}

export interface ComputeOptions extends AnswerOptions {
  /** Called when there is something to compute here. */
  readonly model: () => Promise<BatchModel>;
  readonly probe: Probe;
  readonly checkpoint: Checkpoint<Row>;
  /** Called with the rows of each group, once they outlast this process. */
  readonly onRows?: (rows: readonly Row[]) => void;
}

/**
 * One row for each image, in their order. What the checkpoint has is not computed again. Images at which processes died
 * are computed in another process; one that keeps ending processes gets an error of the code `crashed`.
 *
 * @throws {Florence2Error} if the device fails; the signal's reason if it aborts
 */
export async function computeChunk(
  plan: RunPlan,
  items: readonly Item[],
  options: ComputeOptions,
): Promise<Row[]> {
  const { checkpoint, signal } = options;
  const { calls } = leftOf(checkpoint, items.length);
  const load = (groups: readonly (readonly number[])[] = []) =>
    loadItems(groups.flat(), (index) => items[index]!, options);
  let next = load(calls[0]);
  for (const [i, groups] of calls.entries()) {
    signal.throwIfAborted();
    const model = await options.model();
    const loaded = await next;
    // Bytes of the next images come while the model is at work on these.
    next = load(calls[i + 1]);
    checkpoint.open(groups.flat());
    await leftInOrder(checkpoint, groups.flat(), () =>
      answerGroups(plan, items, groups, { ...options, model, loaded }),
    );
  }
  for (let left = leftOf(checkpoint, items.length); left.probes[0]; left = leftOf(checkpoint, items.length))
    await probeGroup(left.probes[0], options);
  for (const { index, crashes } of leftOf(checkpoint, items.length).crashed) {
    const message = `The process ended ${crashes} times while it was at work on this image.`;
    addRows(options, [[index, errorRow(plan, items[index]!, "crashed", message)]]);
  }
  return items.map((_, index) => checkpoint.rows.get(index)!);
}

/** The rows of some images of a chunk, which are computed beside each other. */
export async function computeGroup(
  plan: RunPlan,
  items: readonly Item[],
  options: AnswerOptions & { readonly model: BatchModel },
): Promise<Row[]> {
  const indices = [...items.keys()];
  const loaded = await loadItems(indices, (index) => items[index]!, options);
  const outcomes = await ask(plan, items, indices, { ...options, loaded });
  return items.map((item, index) => rowOf(plan, item, outcomes[index]!));
}

type Loaded = ReadonlyMap<number, { readonly image: ImageInput } | Florence2Error>;

/** Failures are met when the images are due. */
function loadItems(
  indices: readonly number[],
  itemOf: (index: number) => Item,
  { load, signal }: AnswerOptions,
): Promise<Loaded> {
  const loaded = Promise.all(
    indices.map(async (index) => {
      try {
        return [index, { image: await load(itemOf(index), signal) }] as const;
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

/** Keeps the rows of each group when all of them are there. */
async function answerGroups(
  plan: RunPlan,
  items: readonly Item[],
  groups: readonly (readonly number[])[],
  options: Omit<ComputeOptions, "model"> & Pick<AskOptions, "model" | "loaded">,
): Promise<void> {
  const indices = groups.flat();
  const found = new Map<number, Row>();
  const onOutcome = (outcome: Result | Florence2Error, i: number) => {
    const index = indices[i]!;
    found.set(index, rowOf(plan, items[index]!, outcome));
    const group = groups.find((one) => one.includes(index))!;
    if (group.every((one) => found.has(one)))
      addRows(
        options,
        group.map((one) => [one, found.get(one)!] as const),
      );
  };
  await ask(plan, items, indices, { ...options, onOutcome });
}

interface AskOptions extends AnswerOptions {
  readonly model: BatchModel;
  readonly loaded: Loaded;
  /** Called with each outcome and its place, as soon as it is there. */
  readonly onOutcome?: (outcome: Result | Florence2Error, i: number) => void;
}

/** Holds the place of an image that could not be loaded, so that the others keep their company. */
const NOTHING = new Uint8Array();

async function ask(
  plan: RunPlan,
  items: readonly Item[],
  indices: readonly number[],
  { model, loaded, signal, onOutcome }: AskOptions,
): Promise<(Result | Florence2Error)[]> {
  const { task, numBeams, maxNewTokens } = plan;
  const questions = indices.map((index) => {
    const own = loaded.get(index)!;
    const { region, text = region === undefined ? plan.text : undefined } = items[index]!;
    return { image: own instanceof Florence2Error ? NOTHING : own.image, task, text, region };
  });
  const outcomeOf = (outcome: Result | Florence2Error, i: number) => {
    const own = loaded.get(indices[i]!)!;
    return own instanceof Florence2Error ? own : outcome;
  };
  const outcomes = await model.runBatch(questions, {
    onError: "return",
    onResult: (outcome, i) => onOutcome?.(outcomeOf(outcome, i), i),
    numBeams,
    maxNewTokens,
    signal,
  });
  return outcomes.map(outcomeOf);
}

async function probeGroup(group: readonly number[], options: ComputeOptions): Promise<void> {
  const { checkpoint, probe, signal } = options;
  signal.throwIfAborted();
  checkpoint.open(group);
  const rows = await leftInOrder(checkpoint, group, () => probe(group, signal));
  if (rows)
    addRows(
      options,
      group.map((index, i) => [index, rows[i]!] as const),
    );
  else checkpoint.died(group);
}

/** A failure that the process outlives is none of the images' doing. */
async function leftInOrder<Value>(
  checkpoint: Checkpoint<Row>,
  indices: readonly number[],
  work: () => Promise<Value>,
): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    checkpoint.leave(indices);
    throw error;
  }
}

function addRows(
  { checkpoint, onRows }: Pick<ComputeOptions, "checkpoint" | "onRows">,
  rows: readonly (readonly [number, Row])[],
): void {
  checkpoint.add(rows);
  onRows?.(rows.map(([, row]) => row));
}
