import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Runner } from "../../core/runner.ts";
import type { JsonValue } from "../../files/json.ts";
import { openSafetensors } from "../../files/tensors/safetensors.ts";
import { parityCheckpoint, parityTensor } from "../../measure/generated/parity_weights.ts";
import { type Florence2Config, parseConfig } from "../../model/config/config.ts";
import type { ImageConfig } from "../../model/config/image.ts";
import { Florence2 } from "../../model/florence2.ts";
import type { FlorenceCheckpoint } from "../../model/weights/checkpoint.ts";
import { loadWeights, type Weights } from "../../model/weights/load_weights.ts";
import type { WeightsDtype } from "../../model/weights/loader.ts";
import { Tokenizer } from "../../tokenizer/index.ts";

const fixtures = new URL("../fixtures/", import.meta.url);

export function modelFixture<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`model/${name}`, fixtures), "utf8")) as T;
}

/** All tensors of a fixture, by name. */
export async function tensorFixture(name: string): Promise<Map<string, Float32Array>> {
  const file = await openSafetensors(new URL(`model/${name}`, fixtures));
  const tensors = new Map<string, Float32Array>();
  for (const tensor of file.tensors.keys())
    tensors.set(tensor, new Float32Array((await file.read(tensor)).buffer));
  await file.close();
  return tensors;
}

export interface ParityModel {
  readonly config: Florence2Config;
  readonly imageConfig: ImageConfig;
  readonly weights: Weights;
  readonly model: Florence2;
}

export interface ParityOptions {
  /** Default f32. */
  readonly dtype?: WeightsDtype;
  /** Default: the weights that both sides compute. */
  readonly checkpointOf?: (config: Florence2Config) => FlorenceCheckpoint;
}

/** A model of a fixture's configuration whose weights both sides compute; its tokenizer plays no part. */
export async function openParityModel(
  name: string,
  side: number,
  runner: Runner,
  { dtype = "f32", checkpointOf = parityCheckpoint }: ParityOptions = {},
): Promise<ParityModel> {
  const config = parseConfig(modelFixture<JsonValue>(`${name}.config.json`));
  return openConfigured(config, side, runner, { dtype, checkpointOf });
}

/** A model of any configuration. */
export async function openConfiguredModel(
  config: Florence2Config,
  side: number,
  runner: Runner,
  checkpointOf: (config: Florence2Config) => FlorenceCheckpoint,
): Promise<Florence2> {
  return (await openConfigured(config, side, runner, { dtype: "f32", checkpointOf })).model;
}

async function openConfigured(
  config: Florence2Config,
  side: number,
  runner: Runner,
  { dtype, checkpointOf }: Required<ParityOptions>,
): Promise<ParityModel> {
  const imageConfig: ImageConfig = {
    width: side,
    height: side,
    rescaleFactor: 1 / 255,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  };
  const weights = await loadWeights(checkpointOf(config), config, runner, { dtype });
  return {
    config,
    imageConfig,
    weights,
    model: new Florence2(config, imageConfig, await anyTokenizer(), runner, weights),
  };
}

interface TinyFixture {
  readonly side: number;
  readonly picture: string;
  readonly input_ids: number[];
  readonly decoder_ids: number[];
}

/** Every stage of the tiny model on its fixture's picture and prompt. The runner ends with it. */
export async function tinyStages(
  runner: Runner,
  options: ParityOptions,
): Promise<ReadonlyMap<string, Float32Array>> {
  const tiny = modelFixture<TinyFixture>("tiny.json");
  const { model } = await openParityModel("tiny", tiny.side, runner, options);
  const { taps } = await model.forward({
    pixelValues: parityPixels(tiny.picture, tiny.side),
    inputIds: [tiny.input_ids],
    decoderInputIds: [tiny.decoder_ids],
    taps: () => true,
  });
  model.dispose();
  return taps[0]!;
}

async function anyTokenizer(): Promise<Tokenizer> {
  const text = await readFile(new URL("tokenizer/tokenizer.json", fixtures), "utf8");
  return Tokenizer.fromFiles({ "tokenizer.json": JSON.parse(text) as unknown });
}

/** Normalised pixels (3, side, side) that both sides compute. */
export function parityPixels(name: string, side: number): Float32Array {
  return parityTensor(name, [3, side, side]);
}
