/** What is asked of the model: types, and the checks of a question before anything is computed for it. */
import { Florence2Error } from "../core/errors.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import { countImageTokens, type Florence2Config, type ImageConfig } from "./config/config.ts";
import type { Question } from "./decoding_session.ts";
import type { EncodedImage } from "./encoded_image.ts";
import type { GenerationOptions } from "./generation/options.ts";
import type { ImageInput, LoadImageOptions } from "./image/load.ts";
import { type ParseOptions, type PixelBox, resolveTask, type Task } from "./tasks/index.ts";

/** What `run` takes besides a picture and a task: how to decode, and what the task asks about. */
export interface RunOptions
  extends GenerationOptions,
    ParseOptions,
    Pick<LoadImageOptions, "maxPixels" | "maxBytes"> {
  /** For tasks that take a text: the phrase, the caption. */
  readonly text?: string;
  /** For tasks that take a region: a box in pixels of the picture as seen. (Location tokens go into `text`.) */
  readonly region?: PixelBox;
}

export interface BatchItem<T extends string = string> {
  readonly image: ImageInput | EncodedImage;
  readonly task: T;
  readonly text?: string;
  readonly region?: PixelBox;
}

/** A question that was checked, about an image that was encoded. */
export interface PreparedQuestion extends Question {
  readonly task: Task;
  /** Size of the image in pixels. */
  readonly width: number;
  readonly height: number;
}

/** What a question asks, as task and prompt. */
export type Prompt = Pick<PreparedQuestion, "task" | "promptIds" | "width" | "height">;

/**
 * Resolves the task of a question about an image of this size, and encodes its prompt.
 *
 * @throws {Florence2Error} `task_invalid` for an unknown task, a missing or surplus text or region;
 *   `prompt_too_long` if the prompt does not fit beside the image tokens
 */
export function preparePrompt(
  { task, text, region }: Omit<BatchItem, "image">,
  { width, height }: { readonly width: number; readonly height: number },
  model: {
    readonly tokenizer: Tokenizer;
    readonly config: Florence2Config;
    readonly imageConfig: ImageConfig;
  },
): Prompt {
  const { task: resolved, prompt } = resolveTask(task, region ?? text, { width, height });
  const promptIds = model.tokenizer.encode(prompt);
  const imageTokens = countImageTokens(model.config, model.imageConfig);
  const most = model.config.text.maxPositionEmbeddings - imageTokens;
  if (promptIds.length > most) {
    throw new Florence2Error(
      "prompt_too_long",
      `The prompt has ${promptIds.length} tokens; beside the ${imageTokens} of the image there is room for ${most}.`,
      { found: promptIds.length, allowed: most },
    );
  }
  return { task: resolved, promptIds, width, height };
}
