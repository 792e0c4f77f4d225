import { setTimeout as sleep } from "node:timers/promises";
import type { LoadProgress, Service } from "../engine/service.ts";
import { raced } from "../engine/signals.ts";
import { ApiError } from "../http/errors.ts";

/** Clients give a call up after a minute; a wait ends before that with a message. */
export const PATIENCE_MILLISECONDS = 45_000;
const TICK_MILLISECONDS = 250;

/** @example describeProgress({ stage: "downloaded", percent: 43.2 }) // "43 % downloaded" */
export const describeProgress = (progress: LoadProgress | undefined): string =>
  progress ? `${Math.floor(progress.percent)} % ${progress.stage}` : "it has just begun";

/**
 * Waits until the model can be asked, and has it loaded if no one did.
 *
 * @throws {ApiError} 503 `model_loading` when that takes longer than `patience` milliseconds, while the loading goes
 *   on; 503 `model_unavailable`, with the cause for local callers, when it fails
 */
export async function untilReady(
  service: Service,
  signal: AbortSignal,
  { patience, isLocal }: { readonly patience: number; readonly isLocal: boolean },
): Promise<void> {
  const isWaiting = () => service.state === "loading" || service.state === "lost";
  if (!isWaiting()) return;
  const end = performance.now() + patience;
  const loading = service.state === "loading" ? service.start() : undefined;
  try {
    while (isWaiting()) {
      if (performance.now() > end) throw stillLoading(service.loadProgress);
      await raced(Promise.race([loading, sleep(TICK_MILLISECONDS)].filter(Boolean)), signal);
    }
  } catch (error) {
    if (error instanceof ApiError || signal.aborted) throw error;
    const why = error instanceof Error ? error.message : String(error);
    const told = isLocal ? why : "the server's log says why";
    throw new ApiError(503, "model_unavailable", `The model cannot be loaded: ${told}`, { cause: error });
  }
}

function stillLoading(progress: LoadProgress | undefined): ApiError {
  return new ApiError(
    503,
    "model_loading",
    `The model is still being loaded (${describeProgress(progress)}), which goes on. Call again in half a minute.`,
  );
}
