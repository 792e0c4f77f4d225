import { eligibleVariants, tuningKey, type Variant } from "./kernel.ts";
import { type Dispatch, Recording } from "./recording.ts";
import type { Runner } from "./runner.ts";
import { newTensor, type Storage } from "./tensor.ts";

/** Labels of the variants that were measured to be fastest, by tuning key. */
export type Tuning = ReadonlyMap<string, string>;

export interface TuneOptions {
  /** Milliseconds in all, compiling included; calls that are left then keep their default. Default 2000. */
  readonly budget?: number;
  /** Told after each shape how many of how many are done. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends tuning before the next variant, with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Milliseconds since any time. */
  readonly now?: () => number;
}

const BUDGET_MS = 2000;
/** A sample is to take this long: well above the cost of submitting and waiting. */
const SAMPLE_MS = 2;
const MOST_REPEATS = 100;
const SAMPLES = 3;

/**
 * Times the variants that can serve the calls of a model, and tells which is the fastest for each shape: the largest
 * products first, for as long as the budget lasts. Memory is taken for one call at a time.
 */
export async function tune(
  runner: Runner,
  dispatches: readonly Dispatch[],
  { budget = BUDGET_MS, onProgress, signal, now = () => performance.now() }: TuneOptions = {},
): Promise<Map<string, string>> {
  const start = now();
  const tuning = new Map<string, string>();
  const shapes = shapesOf(dispatches);
  for (const [done, { key, dispatch }] of shapes.entries()) {
    let fastest: { readonly label: string; readonly ms: number } | undefined;
    for (const variant of candidates(runner, dispatch)) {
      signal?.throwIfAborted();
      if (now() - start > budget) return tuning;
      const ms = await timeOf(runner, dispatch, variant, fastest?.ms, now);
      if (!fastest || ms < fastest.ms) fastest = { label: variant.label, ms };
    }
    if (fastest) tuning.set(key, fastest.label);
    onProgress?.(done + 1, shapes.length);
  }
  return tuning;
}

interface Shape {
  readonly key: string;
  readonly dispatch: Dispatch;
  readonly size: number;
}

/** One call of each tuning key, the largest first. */
function shapesOf(dispatches: readonly Dispatch[]): Shape[] {
  const shapes = new Map<string, Shape>();
  for (const dispatch of dispatches) {
    const key = tuningKey(dispatch);
    if (key === undefined) continue;
    const size = dispatch.kernel.tunedBy!.reduce((product, name) => product * dispatch.params[name]!, 1);
    if (size > (shapes.get(key)?.size ?? 0)) shapes.set(key, { key, dispatch, size });
  }
  return [...shapes.values()].sort((a, b) => b.size - a.size);
}

/** The default first: what follows has to be faster. */
function candidates(runner: Runner, dispatch: Dispatch): Variant[] {
  const eligible = eligibleVariants(dispatch, runner.profile.features);
  return [dispatch.variant, ...eligible.filter(({ label }) => label !== dispatch.variant.label)];
}

/** Milliseconds of one call: the least of a few samples, or of the first look if that is far behind another variant. */
async function timeOf(
  runner: Runner,
  dispatch: Dispatch,
  variant: Variant,
  toBeat = Number.POSITIVE_INFINITY,
  now: () => number,
): Promise<number> {
  const program = await runner.prepare(alone(runner, dispatch, variant));
  const sample = async (times: number) => {
    const start = now();
    await program.run(undefined, times);
    await runner.settle();
    return (now() - start) / times;
  };
  try {
    // The first run may compile, on some devices.
    await sample(1);
    let least = await sample(1);
    if (least > 2 * toBeat + SAMPLE_MS) return least;
    const repeats = Math.ceil(Math.min(SAMPLE_MS / least, MOST_REPEATS));
    for (let i = 0; i < SAMPLES; i++) least = Math.min(least, await sample(repeats));
    return least;
  } finally {
    program.dispose();
  }
}

/** A recording of one call with memory of its own, whose content is nobody's. */
function alone(runner: Runner, dispatch: Dispatch, variant: Variant): Recording {
  const rec = new Recording({ profile: runner.profile });
  const own = new Map<Storage, Storage>();
  const tensors = dispatch.tensors.map((tensor) => {
    const { label, words } = tensor.storage;
    const storage = own.get(tensor.storage) ?? newTensor(label, [words], "f32", "temp").storage;
    own.set(tensor.storage, storage);
    return { ...tensor, storage };
  });
  rec.dispatches.push({ ...dispatch, variant, tensors });
  return rec;
}
