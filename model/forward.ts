/** The bare model, for research and parity: logits and stages for decoder inputs that are given. */
import { Florence2Error } from "../core/errors.ts";
import type { RecordingOptions } from "../core/recording.ts";
import type { Tensor, TensorData } from "../core/tensor.ts";
import { DecodingSession } from "./decoding_session.ts";
import { settingsFor } from "./generation/options.ts";
import { pixelsOfPlanes } from "./image/preprocess.ts";
import type { LoadedModel } from "./loading/load.ts";
import { VisionSession } from "./vision_session.ts";

export type IdLists = readonly number[] | readonly (readonly number[])[];

export interface ForwardInput {
  /** One image (3, H, W) or several (B, 3, H, W), as the preprocessor makes them. */
  readonly pixelValues: Float32Array;
  /** Prompts with their first and last tokens: a list for each image, or the only one. */
  readonly inputIds: IdLists;
  /** Decoder inputs, all of the same length: a list for each image, or the only one. */
  readonly decoderInputIds: IdLists;
  /** Names of stages to be returned; see docs/usage.md for their list. */
  readonly taps?: (name: string) => boolean;
}

export interface ForwardOutput {
  readonly logits: Float32Array;
  /** (B, T, V). */
  readonly shape: readonly [number, number, number];
  /** For each image, what was asked for: encoder stages (N, C), decoder stages (T, C). */
  readonly taps: readonly ReadonlyMap<string, Float32Array>[];
}

/** One image and prompt of a `ForwardInput`. */
export interface ForwardRow {
  /** (3, H, W). */
  readonly pixelValues: Float32Array;
  readonly inputIds: readonly number[];
  readonly decoderInputIds: readonly number[];
}

/**
 * The images and prompts of an input, one by one.
 *
 * @throws {Florence2Error} `shape_mismatch` if the parts of the input do not fit together
 */
export function rowsOfInput(
  { pixelValues, ...ids }: ForwardInput,
  { width, height }: { readonly width: number; readonly height: number },
): ForwardRow[] {
  const [inputIds, decoderInputIds] = [listsOf(ids.inputIds), listsOf(ids.decoderInputIds)];
  const [B, pixels, T] = [inputIds.length, 3 * width * height, decoderInputIds[0]?.length ?? 0];
  const fits = B > 0 && T > 0 && pixelValues.length === B * pixels && decoderInputIds.length === B;
  if (!fits || decoderInputIds.some((list) => list.length !== T)) {
    throw new Florence2Error(
      "shape_mismatch",
      `forward takes (B, 3, ${height}, ${width}) pixel values and B lists of input and decoder ids, the latter of one length; got ${pixelValues.length} values, ${B} and ${decoderInputIds.length} lists`,
    );
  }
  return inputIds.map((list, b) => ({
    pixelValues: pixelValues.subarray(b * pixels, (b + 1) * pixels),
    inputIds: list,
    decoderInputIds: decoderInputIds[b]!,
  }));
}

/** Logits (T, V) of one image and prompt, the decoder fed token by token, and the stages asked for. */
export async function forwardRow(
  { runner, weights, config, imageConfig }: Omit<LoadedModel, "tokenizer">,
  { pixelValues, inputIds, decoderInputIds }: ForwardRow,
  recording: RecordingOptions,
): Promise<{ logits: Float32Array; stages: Map<string, Float32Array> }> {
  const [T, V] = [decoderInputIds.length, config.text.vocabSize];
  const logits = new Float32Array(T * V);
  const stages = new Map<string, Float32Array>();
  const settings = settingsFor(config, { numBeams: 1, maxNewTokens: T });
  const vision = await VisionSession.open(runner, weights, config, imageConfig, recording);
  let image: Tensor | undefined;
  let session: DecodingSession | undefined;
  try {
    image = await vision.encode(pixelsOfPlanes(pixelValues));
    const questions = [{ image, promptIds: inputIds }];
    session = await DecodingSession.open(runner, weights.text, config.text, questions, settings, recording);
    for (const [t, id] of decoderInputIds.entries()) {
      logits.set(await session.feed(Uint32Array.of(id)), t * V);
      for (const [name, data] of session.tapped) collect(stages, name, data, t, T);
    }
    for (const [name, data] of vision.tapped) stages.set(name, data as Float32Array);
  } finally {
    session?.dispose();
    if (image) runner.free(image);
    vision.dispose();
  }
  return { logits, stages };
}

function listsOf(ids: IdLists): readonly (readonly number[])[] {
  return (typeof ids[0] === "number" ? [ids] : ids) as readonly (readonly number[])[];
}

/** Appends a decoding step's row to a stage's (T, C); encoder stages, recorded at step 0, are kept whole. */
function collect(
  stages: Map<string, Float32Array>,
  name: string,
  data: TensorData,
  t: number,
  steps: number,
): void {
  if (!name.startsWith("decoder.") && name !== "logits") {
    stages.set(name, data as Float32Array);
    return;
  }
  const whole = stages.get(name) ?? new Float32Array(steps * data.length);
  whole.set(data, t * data.length);
  stages.set(name, whole);
}
