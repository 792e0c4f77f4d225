import { readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { packageFile } from "../files/package_files.ts";
import { parseConfig } from "../model/config/config.ts";
import { RELEASED_IMAGE_CONFIG } from "../model/config/image.ts";
import type { GenerationOptions } from "../model/generation/options.ts";
import { type ModelContents, readModelFiles } from "../model/loading/read_model_files.ts";
import { Tokenizer } from "../tokenizer/index.ts";
import { released } from "./generated/configurations.ts";
import { parityCheckpoint } from "./generated/parity_weights.ts";

/** A model to be timed. */
export interface Subject {
  readonly name: string;
  /** Where it can be loaded from; generated weights can't. */
  readonly folder?: string;
  /** How long its answers may become. */
  readonly limits: GenerationOptions;
  readonly open: () => Promise<ModelContents>;
}

const BUNDLED = packageFile("checkpoints/nano");

export function folderSubject(folder = BUNDLED): Subject {
  return { name: basename(resolve(folder)), folder, limits: {}, open: () => readModelFiles(folder) };
}

/**
 * A model of a released size with the weights of the parity tests. Its answers mean nothing and don't end by
 * themselves: they have 20 tokens.
 */
export function generatedSubject(size: "base" | "large"): Subject {
  const open = async (): Promise<ModelContents> => {
    const config = parseConfig(released(size));
    return {
      config,
      imageConfig: RELEASED_IMAGE_CONFIG,
      tokenizer: await tokenizerOf(config.text.vocabSize),
      checkpoint: parityCheckpoint(config),
    };
  };
  return { name: size, limits: { minNewTokens: 20, maxNewTokens: 20 }, open };
}

export const bundledTokenizer = () => tokenizerOf(0);

async function tokenizerOf(vocabSize: number): Promise<Tokenizer> {
  return Tokenizer.fromFiles({ "tokenizer.json": await tokenizerJson(vocabSize) });
}

/** tokenizer.json of the bundled tokenizer, filled up to a vocabulary's size with tokens that no text has. */
export async function tokenizerJson(vocabSize: number): Promise<object> {
  const json = JSON.parse(await readFile(join(BUNDLED, "tokenizer.json"), "utf8")) as {
    model: { vocab: Record<string, number> };
  };
  const known = Tokenizer.fromFiles({ "tokenizer.json": json }).vocabularySize;
  for (let id = known; id < vocabSize; id++) json.model.vocab[`unused${id}`] = id;
  return json;
}
