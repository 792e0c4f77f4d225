/** Questions to the model: types, and the checks before anything is computed. */
import { Florence2Error, quote } from "../core/errors.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import type { Florence2Config } from "./config/config.ts";
import type { Question } from "./decoding_session.ts";
import type { EncodedImage } from "./encoded_image.ts";
import type { GenerationOptions } from "./generation/options.ts";
import type { ImageInput } from "./image/load.ts";
import type { EncodeOptions } from "./image/preprocess.ts";
import type { Result } from "./results.ts";
import {
  type InputOf,
  type ParseOptions,
  type Region,
  resolveTask,
  type Task,
  type TaskOrPrompt,
} from "./tasks/index.ts";

/** A task as callers name it: a tag, a tag with text beside it, a free prompt, or a task of `defineTask`. */
export type AskedTask = TaskOrPrompt | Task;

/** The inputs of a task besides the image. */
export interface Inputs {
  /**
   * For tasks that take a text: the phrase, the caption. `<OPEN_VOCABULARY_DETECTION>` and
   * `<REFERRING_EXPRESSION_SEGMENTATION>` take several: each is asked, and its finds have it as their label.
   */
  readonly text?: string | readonly string[] | undefined;
  /** For tasks that take a region: a box in pixels of the image as seen. (Location tokens go into `text`.) */
  readonly region?: Region | undefined;
}

/** Options of `run` and `stream`: the inputs of the task, how to decode, how to read image and answer. */
export interface RunOptions
  extends Inputs,
    GenerationOptions,
    ParseOptions,
    Pick<EncodeOptions, "maxPixels" | "maxBytes" | "imageSize" | "background"> {}

/** Options of `run` that hold for any number of questions. */
export type SharedOptions = Omit<RunOptions, keyof Inputs>;

/** Options of `runBatch`. */
export interface BatchOptions extends SharedOptions {
  /**
   * What happens when an item fails. `throw` (default): the call ends; the error names the item in its message and
   * in `details.index` and `details.file`, and `details.results` holds the results until then, by index. `return`:
   * the other items are answered, and the error stands in the item's place.
   */
  readonly onError?: "throw" | "return";
  /**
   * Called as soon as an item has its result, with its index; with its error where `onError` is `return`. Items are
   * computed in groups of eight, in their order. What it throws ends the call.
   */
  readonly onResult?: (result: Result | Florence2Error, index: number) => void;
}

/** The inputs that a task must be given; nothing more is known of a free prompt or an unknown text. */
type Needed<T extends AskedTask> =
  InputOf<T> extends "text"
    ? { readonly text: string | readonly string[] }
    : InputOf<T> extends "region"
      ? { readonly region: Region } | { readonly text: string }
      : unknown;

/** The last argument of `run` and `stream`: it may be left out unless the task needs a text or a region. */
export type RunArguments<T extends AskedTask> =
  unknown extends Needed<T> ? [options?: RunOptions] : [options: RunOptions & Needed<T>];

/** One question of `runBatch`. */
export type BatchItem<T extends AskedTask = AskedTask> = T extends AskedTask
  ? Inputs & Needed<T> & { readonly image: ImageInput | EncodedImage; readonly task: T }
  : never;

/** In pixels. */
export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

/** A question that was checked, about an image that was encoded. */
export interface PreparedQuestion extends Question {
  readonly task: Task;
  /** The text that it asks about, if it has one. */
  readonly text?: string | undefined;
  /** The text is one of a list; the answers to all of them are joined. */
  readonly isListed?: boolean;
  /** Size of the image in pixels. */
  readonly width: number;
  readonly height: number;
}

/** A question as task and prompt. */
export type Prompt = Omit<PreparedQuestion, "image">;

/**
 * Resolves the task of a question, and encodes its prompts: one, or one for each text of a list.
 *
 * @param size of the image in pixels; a region in pixels needs it
 * @throws {Florence2Error} `task_invalid` for a missing or surplus text or region; `prompt_too_long` if a prompt does
 *   not fit beside the image tokens
 */
export function preparePrompts(
  { task, text, region }: Inputs & { readonly task: AskedTask },
  size: ImageSize | undefined,
  model: {
    readonly tokenizer: Tokenizer;
    readonly config: Florence2Config;
    /** How many tokens the image is; 0 as long as that is unknown. */
    readonly imageTokens: number;
  },
  warn?: (message: string) => void,
): Prompt[] {
  if (region !== undefined && region !== null && text !== undefined && text !== "") {
    throw new Florence2Error("task_invalid", "a question takes a text or a region, and was given both", {
      text,
      region,
    });
  }
  const isListed = Array.isArray(text);
  const texts = isListed ? (text as readonly string[]) : [text as string | undefined];
  if (texts.length === 0) {
    throw new Florence2Error("task_invalid", "text is an empty list, expected one text or more", { text });
  }
  return texts.map((own) => {
    const { task: resolved, prompt } = resolveTask(task, region ?? own, size, warn);
    if (isListed && !resolved.merge) {
      const name = resolved.token || "a free prompt";
      throw new Florence2Error("task_invalid", `${name} takes one text, found ${quote(text)}`, { text });
    }
    const promptIds = model.tokenizer.encode(prompt);
    checkLength(promptIds.length, model);
    return { task: resolved, text: own, isListed, promptIds, ...(size ?? { width: 0, height: 0 }) };
  });
}

function checkLength(
  tokens: number,
  { config, imageTokens }: { readonly config: Florence2Config; readonly imageTokens: number },
): void {
  const max = config.text.maxPositionEmbeddings - imageTokens;
  if (tokens <= max) return;
  throw new Florence2Error(
    "prompt_too_long",
    `The prompt has ${tokens} tokens; beside the ${imageTokens} of the image there is room for ${max}.`,
    { found: tokens, allowed: max },
  );
}
