import { Florence2Error } from "../../core/errors.ts";
import { rowsOf } from "../../core/tensor.ts";
import { configFor, countImageTokens } from "../config/image.ts";
import { EncodedImage } from "../encoded_image.ts";
import type { GenerationSettings } from "../generation/options.ts";
import type { GeneratedSequence } from "../generation/report.ts";
import type { ImageInput } from "../image/load.ts";
import type { EncodeOptions } from "../image/preprocess.ts";
import type { LoadedModel } from "../loading/load.ts";
import { type BatchItem, type ImageSize, type PreparedQuestion, preparePrompts } from "../questions.ts";
import { AnswerQueue } from "./answers.ts";
import { Calls } from "./calls.ts";
import { DeviceQueue } from "./device_queue.ts";
import { ImageQueue } from "./images.ts";
import { untilAborted } from "./promises.ts";
import { type Decoding, groupOf, QueuedQuestion } from "./queued_question.ts";

/** The questions of one item, about an image that is on the device until it is released. */
export interface PreparedItem {
  readonly questions: readonly PreparedQuestion[];
  readonly release: () => void | Promise<void>;
}

/**
 * Has one device answer many calls. Each call goes its way by itself: load the image, encode it, decode the
 * answer. What needs the device queues for it, piece by piece.
 */
export class Scheduler {
  readonly calls = new Calls();
  readonly device = new DeviceQueue();
  readonly #model: LoadedModel;
  readonly #warn: (message: string) => void;
  readonly #images: ImageQueue;
  readonly #answers: AnswerQueue;

  constructor(model: LoadedModel, warn: (message: string) => void) {
    this.#model = model;
    this.#warn = warn;
    this.#images = new ImageQueue(model, this.device);
    this.#answers = new AnswerQueue(model, this.device);
  }

  /** Ends all calls with `disposed`, those that come later too. */
  close(): void {
    const reason = new Florence2Error("disposed", "this model was disposed");
    this.calls.close(reason);
    this.device.close(reason);
  }

  /** Loads and encodes an image for the caller to keep. */
  async encodeImage(input: ImageInput, options: EncodeOptions, signal: AbortSignal): Promise<EncodedImage> {
    const image = await this.#images.encode(input, { ...options, signal });
    if (!signal.aborted) return image;
    image.dispose();
    throw signal.reason;
  }

  /** Checks an item and encodes its image. What can be checked without the image is checked before it is loaded. */
  async prepare(item: BatchItem, options: EncodeOptions, signal: AbortSignal): Promise<PreparedItem> {
    const { image, ...asked } = item;
    if (image instanceof EncodedImage) {
      const release = image.use(this.#model.runner);
      try {
        return { questions: this.#questions(asked, image, image), release };
      } catch (error) {
        release();
        throw error;
      }
    }
    if (asked.region === undefined || asked.region === null)
      preparePrompts(asked, undefined, this.#beside(options));
    const queued = this.#images.open(image, options);
    try {
      const size = await untilAborted(queued.size(), signal);
      // Before the image is encoded, which takes longest.
      preparePrompts(asked, size, this.#beside(options, size));
      const encoded = await untilAborted(queued.encode(), signal);
      return { questions: this.#questions(asked, size, encoded), release: () => queued.leave() };
    } catch (error) {
      await queued.leave();
      throw error;
    }
  }

  /**
   * Decodes the answers to items of one call, and gives their images back.
   *
   * @returns for each item its questions' answers; each question has several sequences, best first
   */
  answer(
    items: readonly (PreparedItem & { readonly index: number })[],
    settings: GenerationSettings,
    signal: AbortSignal,
    onTokens?: Decoding["onTokens"],
  ): Promise<GeneratedSequence[][]>[] {
    const group = groupOf(settings);
    const queued = items.map(({ questions, index }) =>
      questions.map((question) => new QueuedQuestion(question, { settings, group, index, onTokens }, signal)),
    );
    this.#answers.add(queued.flat());
    return queued.map(async (questions, i) => {
      try {
        return await Promise.all(questions.map(({ answer }) => answer));
      } catch (error) {
        for (const question of questions) question.reject(error);
        throw error;
      } finally {
        await Promise.all(questions.map(({ left }) => left));
        await items[i]!.release();
      }
    });
  }

  /** The inputs to preparing prompts: the model, and the number of tokens of an image of this size. */
  #beside({ imageSize }: EncodeOptions, size?: ImageSize) {
    const { imageConfig, config } = this.#model;
    const isKnown = size !== undefined || imageSize !== undefined || !imageConfig.keepSize;
    const code = imageSize === undefined ? "image_invalid" : "option_invalid";
    const imageTokens = isKnown
      ? countImageTokens(config, configFor(imageConfig, size ?? imageConfig, imageSize), code)
      : 0;
    return { ...this.#model, imageTokens };
  }

  #questions(
    asked: Omit<BatchItem, "image">,
    size: ImageSize,
    { features }: EncodedImage,
  ): PreparedQuestion[] {
    const model = { ...this.#model, imageTokens: rowsOf(features) };
    return preparePrompts(asked, size, model, this.#warn).map((prompt) => ({
      ...prompt,
      image: features,
    }));
  }
}
