import type { Tensor } from "../core/tensor.ts";

/** An image encoded once, to be asked about many times. Holds device memory until it is disposed. */
export class EncodedImage {
  /** Size of the upright image in pixels, to which coordinates in answers refer. */
  readonly width: number;
  readonly height: number;
  /** (I, d). */
  readonly features: Tensor;
  readonly #free: () => void;

  constructor(features: Tensor, size: { width: number; height: number }, free: () => void) {
    this.features = features;
    this.width = size.width;
    this.height = size.height;
    this.#free = free;
  }

  dispose(): void {
    this.#free();
  }
}
