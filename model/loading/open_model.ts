import { Florence2Error } from "../../core/errors.ts";
import type { Source } from "../../files/files.ts";
import { type OpenModelOptions, openModelFiles } from "../../files/open_model_files.ts";
import { Tokenizer } from "../../tokenizer/index.ts";
import {
  countImageTokens,
  type Florence2Config,
  type ImageConfig,
  parseConfig,
  parsePreprocessorConfig,
} from "../config/config.ts";
import { type FlorenceCheckpoint, openFlorenceCheckpoint, WEIGHT_FILES } from "../weights/checkpoint.ts";
import { withAdapter } from "../weights/lora.ts";

/** What the files of a model say, checked against each other. Whoever opened it closes the checkpoint. */
export interface OpenedModel {
  readonly config: Florence2Config;
  readonly imageConfig: ImageConfig;
  readonly tokenizer: Tokenizer;
  readonly checkpoint: FlorenceCheckpoint;
}

/**
 * Opens a model before anything of it is on a device.
 *
 * @throws {Florence2Error} for missing or malformed files, failed downloads, and files that do not fit each
 *   other; nothing is left open then
 */
export async function openModel(source: Source, options: OpenModelOptions = {}): Promise<OpenedModel> {
  const files = await openModelFiles(source, [["config.json"], WEIGHT_FILES], options);
  const optional = async (name: string) => ((await files.has(name)) ? await files.json(name) : {});
  const config = parseConfig(await files.json("config.json"), await optional("generation_config.json"));
  const imageConfig = parsePreprocessorConfig(await optional("preprocessor_config.json"));
  countImageTokens(config, imageConfig);
  const tokenizer = await Tokenizer.fromPretrained(files);
  if (tokenizer.vocabularySize > config.text.vocabSize) {
    throw new Florence2Error(
      "checkpoint_mismatch",
      `The tokenizer has ${tokenizer.vocabularySize} tokens, config.json a vocab_size of ${config.text.vocabSize}`,
      { tokens: tokenizer.vocabularySize, vocabSize: config.text.vocabSize },
    );
  }
  const checkpoint = await withAdapter(await openFlorenceCheckpoint(files, config), files, config);
  return { config, imageConfig, tokenizer, checkpoint };
}
