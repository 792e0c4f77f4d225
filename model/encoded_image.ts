/// <reference lib="esnext.disposable" preserve="true" />

import { Florence2Error } from "../core/errors.ts";
import type { Runner } from "../core/runner.ts";
import type { Tensor } from "../core/tensor.ts";
import { makeDisposable } from "./disposable.ts";

/**
 * An image encoded once, to be asked about many times by the model that encoded it. Holds device memory (I · d
 * numbers of 4 bytes: 1.8 MB for base) until it is disposed. Questions that were asked before that are answered.
 */
export class EncodedImage {
  declare readonly [Symbol.dispose]: () => void;
  /** Size of the upright image in pixels, to which coordinates in answers refer. */
  readonly width: number;
  readonly height: number;
  /** Image tokens (I, d) on the device. */
  readonly features: Tensor;
  readonly #runner: Pick<Runner, "free">;
  #users = 1;
  #disposed = false;

  /** @param runner whose tensor the features are; the image owns them from now on */
  constructor(features: Tensor, size: { width: number; height: number }, runner: Pick<Runner, "free">) {
    this.features = features;
    this.width = size.width;
    this.height = size.height;
    this.#runner = runner;
  }

  /**
   * Keeps the features on the device until the returned function is called.
   *
   * @throws {Florence2Error} `image_invalid` for an image of another model, `disposed` for a disposed one
   */
  use(runner: Pick<Runner, "free">): () => void {
    if (this.#disposed) throw new Florence2Error("disposed", "this encoded image was disposed");
    if (runner !== this.#runner) {
      throw new Florence2Error(
        "image_invalid",
        "This image was encoded by another model. Encode it with the model that is asked about it.",
      );
    }
    this.#users++;
    let using = true;
    return () => {
      if (using) this.#release();
      using = false;
    };
  }

  /** Gives the memory back, once all questions in flight have read it. A second call does nothing. */
  dispose(): void {
    if (!this.#disposed) this.#release();
    this.#disposed = true;
  }

  #release(): void {
    this.#users--;
    if (this.#users === 0) this.#runner.free(this.features);
  }
}

makeDisposable(EncodedImage);
