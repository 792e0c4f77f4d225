import { DryRunner, type OnRecording } from "../../core/dry_runner.ts";
import type { Runner } from "../../core/runner.ts";
import { elementsOf } from "../../core/tensor.ts";
import type { Florence2Config, ImageConfig } from "../config/config.ts";
import { DecodingSession } from "../decoding_session.ts";
import { settingsFor } from "../generation/options.ts";
import { VisionSession } from "../vision_session.ts";
import type { FlorenceCheckpoint } from "../weights/checkpoint.ts";
import { loadWeights, type WeightsDtype } from "../weights/load_weights.ts";

/** As many as most prompts have; no pipeline depends on their number. */
const PROMPT = new Array<number>(10).fill(0);

/** A model whose weights need not be there yet. */
export interface Rehearsed {
  readonly checkpoint: FlorenceCheckpoint;
  readonly config: Florence2Config;
  readonly imageConfig: ImageConfig;
  readonly dtype: WeightsDtype;
}

/**
 * Tells what the first answer will run, by giving one where nothing is computed. It needs no weights, only their
 * shapes, so it can go on while they are on their way.
 */
export async function compileAhead(
  runner: Runner,
  { checkpoint, config, imageConfig, dtype }: Rehearsed,
  onRecording: OnRecording,
): Promise<void> {
  const dry = new DryRunner(runner, onRecording);
  const weights = await loadWeights(withoutContent(checkpoint), config, dry, { dtype });
  const vision = await VisionSession.open(dry, weights, config, imageConfig);
  const image = await vision.see(new Float32Array(0));
  const questions = [{ image, promptIds: PROMPT }];
  const settings = settingsFor(config, {});
  const session = await DecodingSession.open(dry, weights.text, config.text, questions, settings);
  await session.advance();
  await dry.settle();
}

/** The checkpoint's names, shapes and dtypes, without reading its files. */
function withoutContent(checkpoint: FlorenceCheckpoint): FlorenceCheckpoint {
  return {
    ...checkpoint,
    read: async (name) => new Float32Array(elementsOf(checkpoint.tensor(name).shape)),
    readRows: async () => new Float32Array(0),
    readPacked: async () => new Uint32Array(0),
  };
}
