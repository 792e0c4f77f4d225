import type { Files } from "../../files/files.ts";
import { openWeightFile } from "../../files/tensors/shards.ts";
import type { Florence2Config } from "../config/config.ts";
import { checkpointOf, type FlorenceCheckpoint } from "./checkpoint.ts";
import { checkTensors } from "./comparison.ts";
import { expectedTensors } from "./expected_tensors.ts";
import { recogniseLayout, storedNames, withoutWrappers } from "./layouts.ts";
import { withAdapter } from "./lora.ts";

/** Where the weights of a model may be; the first that is there counts. */
export const WEIGHT_FILES: readonly string[] = [
  "model.safetensors",
  "model.safetensors.index.json",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
];

export interface CheckpointOptions {
  /** The folder of an adapter. Default: the model's own, if an adapter is there. */
  readonly adapter?: Files | undefined;
  /** Receives what is odd about the files and does not keep the model from working. */
  readonly warn?: (message: string) => void;
}

/**
 * Opens the weights of a model, with an adapter merged into them if there is one, and compares every name, shape and
 * dtype with the configuration, before any tensor is read.
 *
 * @throws {Florence2Error} checkpoint_mismatch, with the first few differences, and what openWeightFile and withAdapter
 *   throw; nothing is left open then
 */
export async function openCheckpoint(
  files: Files,
  config: Florence2Config,
  { adapter, warn = () => {} }: CheckpointOptions = {},
): Promise<FlorenceCheckpoint> {
  const file = withoutWrappers(await openWeightFile(files, WEIGHT_FILES), warn);
  const expected = expectedTensors(config);
  let checkpoint: FlorenceCheckpoint;
  try {
    const layout = recogniseLayout(file, expected);
    const stored = storedNames(file, layout, expected);
    checkTensors(file, layout, expected, stored, config, warn);
    checkpoint = checkpointOf(file, layout, expected, stored);
  } catch (error) {
    await file.close();
    throw error;
  }
  return withAdapter(checkpoint, adapter ?? files, expected);
}
