import { Florence2Error } from "../../core/errors.ts";
import type { Files, Source } from "../../files/files.ts";
import { Tokenizer } from "../../tokenizer/index.ts";
import { type Florence2Config, parseConfig } from "../config/config.ts";
import {
  checkedImageSize,
  countImageTokens,
  type ImageConfig,
  type InputSize,
  parseImageConfig,
  RELEASED_IMAGE_CONFIG,
} from "../config/image.ts";
import type { FlorenceCheckpoint } from "../weights/checkpoint.ts";
import { openCheckpoint } from "../weights/open_checkpoint.ts";
import { findSources, type SourceOptions } from "./sources.ts";

export interface ModelOptions extends SourceOptions {
  /**
   * The size to which images are stretched, in pixels, in place of the one in the model's files: a number for a
   * square, or { width, height }. The model's table of positions bounds it.
   */
  readonly imageSize?: InputSize | undefined;
}

/** The contents of a model's files, checked against each other. The caller closes the checkpoint. */
export interface ModelContents {
  readonly config: Florence2Config;
  readonly imageConfig: ImageConfig;
  readonly tokenizer: Tokenizer;
  readonly checkpoint: FlorenceCheckpoint;
}

/**
 * Reads the files of a model, and opens its weights, before anything of it is on a device.
 *
 * @throws {Florence2Error} for missing or malformed files, failed downloads, and files that do not fit each
 *   other; nothing is left open then
 */
export async function readModelFiles(source: Source, options: ModelOptions = {}): Promise<ModelContents> {
  const { onWarning: warn = (message: string) => console.warn(message), imageSize } = options;
  const sources = await findSources(source, { ...options, onWarning: warn });
  const { model } = sources;
  const config = parseConfig(sources.config, await model.optionalJson("generation_config.json"), warn);
  const imageConfig = await readImageConfig(sources.processor, config, imageSize, warn);
  const tokenizer = await Tokenizer.fromPretrained(sources.tokenizer);
  if (tokenizer.vocabularySize > config.text.vocabSize) {
    throw new Florence2Error(
      "checkpoint_mismatch",
      `The tokenizer has ${tokenizer.vocabularySize} tokens, config.json a vocab_size of ${config.text.vocabSize}`,
      { tokens: tokenizer.vocabularySize, vocabSize: config.text.vocabSize },
    );
  }
  const checkpoint = await openCheckpoint(model, config, { adapter: sources.adapter, warn });
  return { config, imageConfig, tokenizer, checkpoint };
}

/** How images are prepared, by the first folder that says so, or else as for the released models. */
async function readImageConfig(
  folders: readonly Files[],
  config: Florence2Config,
  imageSize: InputSize | undefined,
  warn: (message: string) => void,
): Promise<ImageConfig> {
  const size = imageSize !== undefined && { ...checkedImageSize(imageSize), keepSize: false };
  let found: ImageConfig | undefined;
  for (const files of folders) {
    const processor = await files.optionalJson("processor_config.json");
    found =
      parseImageConfig({ processor }) ??
      parseImageConfig({
        preprocessor: await files.optionalJson("preprocessor_config.json"),
      });
    if (found) break;
  }
  if (!found && !isReleased(config)) {
    const { width, height, mean, std } = { ...RELEASED_IMAGE_CONFIG, ...size };
    warn(
      "The model has neither preprocessor_config.json nor processor_config.json. Images are taken as by the released " +
        `models: ${width} x ${height} pixels, mean [${mean}], standard deviation [${std}].`,
    );
  }
  const imageConfig = { ...(found ?? RELEASED_IMAGE_CONFIG), ...size };
  // What no question could pass is refused here.
  countImageTokens(config, imageConfig, size ? "option_invalid" : "config_invalid");
  return imageConfig;
}

/** Whether a model has the architecture of base or large, whose images are known. */
function isReleased({ vision, text }: Florence2Config): boolean {
  const widths = String(vision.embedDim);
  return (
    (widths === "128,256,512,1024" && text.dModel === 768) ||
    (widths === "256,512,1024,2048" && text.dModel === 1024)
  );
}
