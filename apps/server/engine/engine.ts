import type { DetectedObject, GenerationOptions, Region } from "florence2-webgpu";

/** An image that the model has encoded; its features are kept on the device. */
export interface EncodedImage {
  readonly width: number;
  readonly height: number;
  /** How many of a prompt's tokens it stands for. */
  readonly tokens: number;
  /** Of device memory. */
  readonly bytes: number;
  dispose(): void;
}

/** A question about an image. */
export interface Question {
  /** A tag such as `<OD>`, or a free prompt. */
  readonly task: string;
  /** The text of a task; for some tasks a list, whose answers become one. */
  readonly text?: string | readonly string[];
  readonly region?: Region;
  readonly coordinates?: "float" | "integer";
  readonly generation: Omit<GenerationOptions, "signal" | "onStep">;
}

/** One of the answers to a question. */
export interface Sequence {
  /** In the shape that the task's name stands for. */
  readonly answer: unknown;
  /** The objects that it locates. */
  readonly objects: readonly DetectedObject[];
  /** The answer in words, or the labels of its objects. */
  readonly text: string;
  readonly tokens: readonly { readonly text: string; readonly logProb: number }[];
  /** Of all new tokens, with those that people do not see. */
  readonly tokenCount: number;
  readonly score: number;
  readonly finishReason: "stop" | "length";
}

export interface Answered {
  /** With those that the image stands for. */
  readonly promptTokens: number;
  readonly imageTokens: number;
  /** Doubts about a question that was answered: an unknown tag, a region beyond the image. */
  readonly warnings?: readonly string[];
  /** Best first. */
  readonly sequences: readonly [Sequence, ...Sequence[]];
}

export interface Part {
  /** A piece of the generated text, with its location tokens. */
  readonly text: string;
  /** With the last part. */
  readonly answered?: Answered;
}

/** The model as the server uses it. Calls may overlap: an engine answers waiting questions in one batch. */
export interface Engine {
  readonly device: { readonly kind: string; readonly name: string };
  /** Device memory now in use, in bytes. */
  readonly memoryBytes: number;
  /** Decodes an image file and looks at it. */
  encode(image: Uint8Array, signal: AbortSignal): Promise<EncodedImage>;
  /**
   * Checks a question before any work is done for it.
   *
   * @throws {Florence2Error} for a task, text or region that cannot be asked
   */
  check(question: Question): void;
  run(image: EncodedImage, question: Question, signal: AbortSignal): Promise<Answered>;
  stream(image: EncodedImage, question: Question, signal: AbortSignal): AsyncIterable<Part>;
  dispose(): void;
}
