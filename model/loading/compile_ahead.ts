import type { DeviceProfile } from "../../core/recording.ts";
import { Recording } from "../../core/recording.ts";
import type { Runner } from "../../core/runner.ts";
import { elementsOf, shapeOnly } from "../../core/tensor.ts";
import type { Florence2Config } from "../config/config.ts";
import type { ImageConfig } from "../config/image.ts";
import { type GenerationSettings, settingsFor } from "../generation/options.ts";
import { rowsOfBatch, searchState } from "../generation/search.ts";
import { PIXEL_CHANNELS } from "../image/preprocess.ts";
import { crossCache, layerCaches, recordEncoding, recordSearchedStep, recordVision } from "../recordings.ts";
import type { FlorenceCheckpoint } from "../weights/checkpoint.ts";
import { loadWeights } from "../weights/load_weights.ts";
import type { WeightsDtype, WeightTarget } from "../weights/loader.ts";

/** As many tokens as most prompts have, and as many steps as the first caches hold; no pipeline depends on them. */
const PROMPT = 10;
const STEPS = 64;

/** A model whose weights need not be on the device yet. */
export interface ModelToCompile {
  readonly checkpoint: FlorenceCheckpoint;
  readonly config: Florence2Config;
  readonly imageConfig: ImageConfig;
  readonly dtype: WeightsDtype;
}

/** Compiles what the first answer runs. It needs the shapes of the weights only, so it can go on while they load. */
export async function compileAhead(runner: Runner, model: ModelToCompile): Promise<void> {
  // No pipeline depends on where the locations begin.
  const settings = settingsFor(model.config, {}, 0);
  const recordings = await firstRecordings(model, runner.profile, settings);
  await Promise.all(recordings.map((recording) => runner.compile(recording)));
}

/** The recordings of a first answer to one question: vision, encoding, a decoding step. No tensor has memory. */
export async function firstRecordings(
  { checkpoint, config, imageConfig, dtype }: ModelToCompile,
  profile: DeviceProfile,
  settings: GenerationSettings,
): Promise<readonly [vision: Recording, encoding: Recording, step: Recording]> {
  const weights = await loadWeights(withoutContent(checkpoint), config, shapesOn(profile), { dtype });
  const newRecording = () => new Recording({ profile });

  const vision = newRecording();
  const pixels = shapeOnly("pixels", [imageConfig.height * imageConfig.width, PIXEL_CHANNELS]);
  const features = recordVision(vision, weights, pixels, imageConfig, config);

  const encoding = newRecording();
  const image = shapeOnly("image features", features.shape);
  const prompt = shapeOnly("prompt", [PROMPT], "u32");
  const start = shapeOnly("start", [1], "u32");
  const cross = crossCache(shapeOnly, [image.shape[0]! + PROMPT], config.text);
  recordEncoding(encoding, weights.text, { image, prompt, start, cross }, 0, config.text);

  const step = newRecording();
  const R = rowsOfBatch(1, settings);
  const lengths = shapeOnly("source lengths", [1], "u32");
  const layers = layerCaches(shapeOnly, cross, 1, R, STEPS, config.text);
  const search = searchState(shapeOnly, R, STEPS, settings);
  recordSearchedStep(step, weights.text, { lengths, layers }, search, config.text, settings);
  return [vision, encoding, step];
}

/** Takes weights that have a shape and no content. */
const shapesOn = (profile: DeviceProfile): WeightTarget => ({
  profile,
  zeros: shapeOnly,
  upload: (label, shape, data) => shapeOnly(label, shape, data instanceof Uint32Array ? "u32" : "f32"),
  write: () => {},
  settle: async () => {},
});

/** The checkpoint's names, shapes and dtypes, without reading its files. */
function withoutContent(checkpoint: FlorenceCheckpoint): FlorenceCheckpoint {
  return {
    ...checkpoint,
    read: async (name) => new Float32Array(elementsOf(checkpoint.tensors.get(name)!.shape)),
    readRows: async () => new Float32Array(0),
    readPacked: async () => new Uint32Array(0),
  };
}
