import { openFiles } from "../../files/files.ts";
import { type Florence2Config, parseConfig } from "../../model/config/config.ts";
import type { ImageConfig } from "../../model/config/image.ts";
import { type GenerationSettings, generationSettings } from "../../model/generation/options.ts";
import type { WeightsDtype } from "../../model/weights/loader.ts";

/** The question to all contestants: a greedy caption of so many tokens. */
export interface Question {
  /** With config.json, model.safetensors and the ONNX graphs, all of the same weights in float32. */
  readonly folder: string;
  readonly imageConfig: ImageConfig;
  /** Normalised, (3, height, width). */
  readonly pixelValues: Float32Array;
  readonly promptIds: readonly number[];
  readonly tokens: number;
  /** The dtype of this library's weights on a GPU. */
  readonly dtype: WeightsDtype;
  /** Of those who compute on the CPU. */
  readonly threads: number;
}

/** The timed phases of each caption; the first token includes those that are computed together with it. */
export const CAPTION_PHASES = [
  "vision and encoder",
  "first token",
  "each further token",
  "whole caption",
] as const;

export interface Caption {
  /** Milliseconds, from normalised pixels on. */
  readonly times: Readonly<Record<(typeof CAPTION_PHASES)[number], number>>;
  readonly tokens: readonly number[];
}

/** @param marks times when it began, had encoded, had the first `together` tokens, and ended */
export function captionOf(
  tokens: readonly number[],
  together: number,
  marks: readonly [number, number, number, number],
): Caption {
  const [start, seen, first, end] = marks;
  const times = {
    "vision and encoder": seen - start,
    "first token": first - seen,
    "each further token": (end - first) / (tokens.length - together),
    "whole caption": end - start,
  };
  return { times, tokens };
}

/** Something that answers the question, again and again. */
export interface Contestant {
  /** Package and version, for the report. */
  readonly version: string;
  caption(): Promise<Caption>;
  /** Of weights that are not in f32, tokens may differ, and only their number counts. */
  readonly isRounded?: boolean;
  /** The most memory up to the last caption, and the time to open, where another process than that of Node has them. */
  peakBytes?(): number;
  readonly loadMs?: number;
}

/** The contestants by name, on a GPU and without; the others are compared with the first, which is this library. */
export const CONTESTANTS = {
  gpu: [
    "ours",
    "ONNX Runtime, WebGPU",
    "ONNX Runtime, CPU",
    "PyTorch, CPU",
    "PyTorch, CUDA, eager",
    "PyTorch, CUDA, compiled",
  ],
  cpu: [
    "CPU engine, f32",
    "CPU engine, f16",
    "CPU engine, q8",
    "software Vulkan of before",
    "ONNX Runtime, CPU",
    "ONNX Runtime, WASM",
    "transformers.js, CPU",
    "PyTorch, CPU",
  ],
} as const;
export type PeersDevice = keyof typeof CONTESTANTS;
export type ContestantName = (typeof CONTESTANTS)[PeersDevice][number];

/** Configuration and rules of decoding, which are the same for all. */
export async function rulesOf({ folder, tokens }: Question): Promise<{
  readonly config: Florence2Config;
  readonly settings: GenerationSettings;
}> {
  const files = openFiles(folder);
  const config = parseConfig(await files.json("config.json"));
  const settings = generationSettings(
    { numBeams: 1, minNewTokens: tokens, maxNewTokens: tokens },
    {
      vocabSize: config.text.vocabSize,
      maxPositions: config.text.maxPositionEmbeddings,
      decoderStartTokenId: config.tokens.decoderStart,
      eosTokenId: config.tokens.eos,
    },
  );
  return { config, settings };
}
