import {
  type EncodedImage,
  Florence2,
  type Result,
  type RunOptions,
  type StreamPart,
} from "florence2-webgpu/browser";
import type { Calls, ModelChoice, WorkerEvent } from "../page/engines/protocol.ts";

/** Images that are kept as the model saw them; 1.8 MB each for base. */
const KEPT_IMAGES = 4;

type Tell = (event: WorkerEvent) => void;

/** A model, and the images that it looked at last. */
export class HeldModel {
  readonly #model: Florence2;
  readonly #images = new Map<string, EncodedImage>();
  readonly #choice: ModelChoice;
  readonly #fileBytes: number;

  static async load(choice: ModelChoice, tell: Tell, signal: AbortSignal): Promise<HeldModel> {
    let fileBytes = 0;
    const { source, ...options } = choice;
    const model = await Florence2.fromPretrained(source.includes("://") ? new URL(source) : source, {
      ...options,
      signal,
      onProgress(event) {
        if (event.status === "load") fileBytes = event.total;
        tell({ type: "progress", event });
      },
      onWarning: (message) => tell({ type: "warning", message }),
    });
    return new HeldModel(model, choice, fileBytes);
  }

  private constructor(model: Florence2, choice: ModelChoice, fileBytes: number) {
    [this.#model, this.#choice, this.#fileBytes] = [model, choice, fileBytes];
  }

  get facts(): Calls["load"]["gives"] {
    const { device, memory } = this.#model;
    return {
      device: device.name,
      deviceKind: device.kind,
      fileBytes: this.#fileBytes,
      memoryBytes: memory.bytes,
      dtype: this.#choice.dtype,
    };
  }

  async ask(
    { imageId, image, question }: Calls["ask"]["takes"],
    tell: Tell,
    signal: AbortSignal,
  ): Promise<Calls["ask"]["gives"]> {
    const start = performance.now();
    const isSeen = this.#images.has(imageId);
    const encoded = await this.#look(imageId, image, signal);
    const looked = performance.now();
    tell({ type: "looked" });
    const { task, text, region } = question;
    const result = await this.#answer(encoded, task, { text, region, signal }, tell);
    return {
      answer: result.answer,
      text: result.text,
      objects: result.objects,
      width: result.width,
      height: result.height,
      tokens: result.logProbs.length,
      finishReason: result.finishReason,
      times: { ...(!isSeen && { image: looked - start }), answer: performance.now() - looked },
    };
  }

  async #look(id: string, image: Blob, signal: AbortSignal): Promise<EncodedImage> {
    const encoded = this.#images.get(id) ?? (await this.#model.encodeImage(image, { signal }));
    // The image that was asked about last goes to the end.
    this.#images.delete(id);
    this.#images.set(id, encoded);
    for (const [oldest, old] of this.#images) {
      if (this.#images.size <= KEPT_IMAGES) break;
      this.#images.delete(oldest);
      old.dispose();
    }
    return encoded;
  }

  async #answer(image: EncodedImage, task: string, options: RunOptions, tell: Tell): Promise<Result> {
    // A list of texts has one answer, which comes as a whole.
    if (Array.isArray(options.text)) return this.#model.run(image, task, options);
    let [shown, tokens] = ["", 0];
    let last: StreamPart | undefined;
    for await (const part of this.#model.stream(image, task, options)) {
      shown += part.text;
      tokens += part.tokens.length;
      tell({ type: "text", text: shown, tokens });
      last = part;
    }
    return last!.result!;
  }
}
