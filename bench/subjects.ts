import { readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { openFiles } from "../core/files.ts";
import type { Runner } from "../core/runner.ts";
import { openFlorenceCheckpoint } from "../model/checkpoint.ts";
import {
  type Florence2Config,
  type ImageConfig,
  parseConfig,
  parsePreprocessorConfig,
} from "../model/config.ts";
import type { GenerationOptions } from "../model/generation/options.ts";
import { loadWeights, type Weights } from "../model/weights.ts";
import { released } from "../tests/support/configurations.ts";
import { parityCheckpoint } from "../tests/support/parity_weights.ts";
import { Tokenizer } from "../tokenizer/index.ts";

/** A model to be timed. */
export interface Subject {
  readonly name: string;
  /** Where it can be loaded from; generated weights can't. */
  readonly folder?: string;
  /** How long its answers may become. */
  readonly limits: GenerationOptions;
  readonly open: (runner: Runner) => Promise<Parts>;
}

/** What `Florence2.fromPretrained` keeps to itself: the phases of an answer are timed one by one. */
export interface Parts {
  readonly config: Florence2Config;
  readonly imageConfig: ImageConfig;
  readonly tokenizer: Tokenizer;
  readonly weights: Weights;
}

const BUNDLED = join("checkpoints", "nano");

export function folderSubject(folder = BUNDLED): Subject {
  const open = async (runner: Runner): Promise<Parts> => {
    const files = openFiles(folder);
    const optional = async (name: string) => ((await files.has(name)) ? await files.json(name) : {});
    const config = parseConfig(await files.json("config.json"), await optional("generation_config.json"));
    const imageConfig = parsePreprocessorConfig(await optional("preprocessor_config.json"));
    const tokenizer = await Tokenizer.fromPretrained(files);
    const checkpoint = await openFlorenceCheckpoint(files, config);
    try {
      return { config, imageConfig, tokenizer, weights: await loadWeights(checkpoint, config, runner) };
    } finally {
      await checkpoint.close();
    }
  };
  return { name: basename(resolve(folder)), folder, limits: {}, open };
}

/** A released model's size with the weights of the parity tests. Its answers mean nothing and never end: 20 tokens. */
export function generatedSubject(size: "base" | "large"): Subject {
  const open = async (runner: Runner): Promise<Parts> => {
    const config = parseConfig(released(size));
    const tokenizer = await tokenizerOf(config.text.vocabSize);
    const imageConfig = parsePreprocessorConfig({});
    return {
      config,
      imageConfig,
      tokenizer,
      weights: await loadWeights(parityCheckpoint(config), config, runner),
    };
  };
  return { name: size, limits: { minNewTokens: 20, maxNewTokens: 20 }, open };
}

/** The bundled tokenizer, filled up to a vocabulary's size with tokens that no text has. */
async function tokenizerOf(vocabSize: number): Promise<Tokenizer> {
  const json = JSON.parse(await readFile(join(BUNDLED, "tokenizer.json"), "utf8")) as {
    model: { vocab: Record<string, number> };
  };
  const known = Tokenizer.fromFiles({ "tokenizer.json": json }).vocabularySize;
  for (let id = known; id < vocabSize; id++) json.model.vocab[`unused${id}`] = id;
  return Tokenizer.fromFiles({ "tokenizer.json": json });
}
