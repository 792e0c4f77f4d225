import { checkDevice, type DeviceOption, type DeviceOptions, openRunner } from "../../core/device.ts";
import type { Runner } from "../../core/runner.ts";
import type { Source } from "../../files/files.ts";
import type { DownloadEvent, HubOptions } from "../../files/open_model_files.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import type { Florence2Config } from "../config/config.ts";
import type { ImageConfig } from "../config/image.ts";
import { loadWeights, type Weights } from "../weights/load_weights.ts";
import { checkDtype, type WeightsDtype } from "../weights/loader.ts";
import { compileAhead, type ModelToCompile } from "./compile_ahead.ts";
import { type ModelOptions, readModelFiles } from "./read_model_files.ts";

/** A stage of loading: the files of a hub's repository arrive, weights go to the device, all is ready. */
export type ProgressEvent =
  | DownloadEvent
  | {
      readonly status: "load";
      /** Bytes. */
      readonly loaded: number;
      readonly total: number;
      /** Percent. */
      readonly progress: number;
    }
  | { readonly status: "ready"; readonly device: string };

export interface LoadOptions
  extends Omit<DeviceOptions, "asksForI8" | "debug">,
    HubOptions,
    Pick<ModelOptions, "tokenizer" | "subfolder" | "adapter" | "imageSize"> {
  /** Where to compute. Default `auto`: a GPU if there is one, else the CPU engine. */
  readonly device?: DeviceOption | undefined;
  /**
   * How matrices are held on the device; all arithmetic is f32. `auto` (default): f16 as the files store it, anything
   * else as f32, so that nothing is lost. `f16`: half the memory, whatever the files store.
   */
  readonly dtype?: WeightsDtype | undefined;
  readonly onProgress?: ((event: ProgressEvent) => void) | undefined;
  /** Ends downloading, and loading at the next tensor, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A model on a device: what `Florence2` is made of. */
export interface LoadedModel {
  readonly config: Florence2Config;
  readonly imageConfig: ImageConfig;
  readonly tokenizer: Tokenizer;
  readonly runner: Runner;
  readonly weights: Weights;
}

/**
 * Opens the files of a model, then a device, and brings the weights onto it. Shaders compile meanwhile.
 *
 * @throws {Florence2Error} for missing or malformed files, failed downloads, weights that do not fit the
 *   configuration, and a device that is not available; nothing is left allocated then
 */
export async function loadModel(source: Source, options: LoadOptions = {}): Promise<LoadedModel> {
  const { dtype = "auto", device, threads, onProgress, onWarning, signal } = options;
  checkDtype(dtype);
  checkDevice(device, threads);
  const { checkpoint, ...model } = await readModelFiles(source, options);
  try {
    const runner = await openRunner(device, { threads, onWarning, asksForI8: dtype === "q8" });
    try {
      compileInBackground(runner, { checkpoint, ...model, dtype });
      const weights = await loadWeights(checkpoint, model.config, runner, {
        dtype,
        signal,
        onProgress: (loaded, total) =>
          onProgress?.({ status: "load", loaded, total, progress: (100 * loaded) / total }),
      });
      onProgress?.({ status: "ready", device: runner.name });
      return { ...model, runner, weights };
    } catch (error) {
      runner.dispose();
      throw error;
    }
  } finally {
    await checkpoint.close();
  }
}

/** `Runner.prepare` reports the errors that are ignored here. */
function compileInBackground(runner: Runner, model: ModelToCompile): void {
  compileAhead(runner, model).catch(() => {});
}
