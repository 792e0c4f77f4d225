import type { GpuRunner } from "../core/gpu_runner.ts";
import type { Dispatch } from "../core/recording.ts";
import { type TuneOptions, tune } from "../core/tuner.ts";
import { readTuning, writeTuning } from "../core/tuning_cache.ts";
import { type Rehearsed, rehearse } from "./rehearsal.ts";

/** Lets a runner take what was tuned on its adapter before, if anything was. */
export async function recallTuning({ name, profile }: GpuRunner): Promise<void> {
  for (const [key, label] of await readTuning(name)) profile.tuned.set(key, label);
}

/**
 * Tunes what a model's first answer runs, for this runner and, by the cache, for later ones on such an adapter.
 *
 * @param onWarning told if the cache can't be written; what was tuned then serves this runner only
 */
export async function tuneModel(
  runner: GpuRunner,
  model: Rehearsed,
  { onWarning, ...options }: TuneOptions & { readonly onWarning?: (message: string) => void },
): Promise<void> {
  const dispatches: Dispatch[] = [];
  await rehearse(runner, model, async (recording) => {
    dispatches.push(...recording.dispatches);
  });
  for (const [key, label] of await tune(runner, dispatches, options)) runner.profile.tuned.set(key, label);
  await writeTuning(runner.name, runner.profile.tuned).catch((error: Error) =>
    (onWarning ?? console.warn)(`What was tuned can't be kept: ${error.message}`),
  );
}
