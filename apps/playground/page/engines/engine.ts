import type { DetectedObject, TaskToken } from "florence2-webgpu";

/** Left, upper, right, lower edge in pixels of the image as seen. */
export type Box = readonly [x1: number, y1: number, x2: number, y2: number];

/** What is asked about an image. */
export interface Question {
  readonly task: TaskToken;
  /** For tasks that take a text; several for those that take a list. */
  readonly text?: string | readonly string[];
  /** For tasks that take a region. */
  readonly region?: Box;
}

/** An answer, in the words of the library's `Result`. */
export interface Reply {
  /** In the shape of its task. */
  readonly answer: unknown;
  readonly text: string;
  readonly objects: readonly DetectedObject[];
  /** Of the image as seen, in pixels. */
  readonly width: number;
  readonly height: number;
  /** Generated ones. */
  readonly tokens: number;
  readonly finishReason: "stop" | "length";
  readonly warnings: readonly string[];
  readonly times: Times;
}

/** In milliseconds. */
export interface Times {
  /** Decoding the image and looking at it; undefined where it had been looked at before, or where it is not told. */
  readonly image?: number;
  readonly answer: number;
  /** The way to a server, and its queue; undefined here. */
  readonly way?: number;
}

/** The model that answers, for people. */
export interface ModelFacts {
  /** A repository, or the name that a server gives. */
  readonly model: string;
  /** What computes, such as `CPU: WebAssembly with relaxed SIMD, 2 threads`. */
  readonly device: string;
  readonly deviceKind: "gpu" | "cpu";
  /** Bytes of the weights' files, where they are known. */
  readonly fileBytes?: number;
  /** How weights are held. */
  readonly dtype?: string;
  /** Of the device, in bytes. */
  readonly memoryBytes?: number;
}

/** An image that can be asked about. */
export interface AskedImage {
  readonly id: string;
  /** A file's name. */
  readonly name: string;
  readonly blob: Blob;
}

/** Told while a question is answered. */
export interface Listener {
  /** The image was looked at; the answer begins. */
  onLooked(): void;
  /** All text so far. */
  onText(text: string, tokens: number): void;
}

/** What answers: a worker of this browser, or a server. */
export interface Engine {
  readonly place: "browser" | "server";
  readonly facts: ModelFacts;
  /** @throws {Failure}, or the signal's reason when it aborts */
  ask(image: AskedImage, question: Question, listener: Listener, signal: AbortSignal): Promise<Reply>;
  close(): void;
}
