import { Recording, type RecordingOptions } from "../core/recording.ts";
import type { Program, Runner } from "../core/runner.ts";
import type { Tensor, TensorData } from "../core/tensor.ts";
import type { Florence2Config } from "./config/config.ts";
import type { ImageConfig } from "./config/image.ts";
import { PIXEL_CHANNELS } from "./image/preprocess.ts";
import { recordVision } from "./recordings.ts";
import type { Weights } from "./weights/load_weights.ts";

export interface VisionOptions extends RecordingOptions {
  /** How many images of one size it encodes together; default 1. */
  readonly images?: number;
}

/** The program from pixels to image tokens, of one image or of several of the same size side by side. */
export class VisionSession {
  /** Size of the images that it takes, in pixels. */
  readonly width: number;
  readonly height: number;
  readonly #runner: Runner;
  /** An entry for each image. */
  readonly #pixels: readonly Tensor[];
  readonly #features: readonly Tensor[];
  readonly #taps: Recording["taps"];
  readonly #program: Program;
  /** Stages of the last image that were asked for, by name. */
  readonly tapped = new Map<string, TensorData>();

  static async open(
    runner: Runner,
    weights: Weights,
    config: Florence2Config,
    imageConfig: ImageConfig,
    { images = 1, ...recording }: VisionOptions = {},
  ): Promise<VisionSession> {
    const shape = [imageConfig.height * imageConfig.width, PIXEL_CHANNELS];
    const pixels: Tensor[] = [];
    try {
      for (let i = 0; i < images; i++) pixels.push(runner.zeros("pixels", shape));
      const rec = new Recording({ ...recording, profile: runner.profile });
      const features = rec.together(images, (i) =>
        recordVision(rec, weights, pixels[i]!, imageConfig, config),
      );
      return new VisionSession(imageConfig, runner, pixels, features, rec.taps, await runner.prepare(rec));
    } catch (error) {
      for (const tensor of pixels) runner.free(tensor);
      throw error;
    }
  }

  private constructor(
    { width, height }: ImageConfig,
    runner: Runner,
    pixels: readonly Tensor[],
    features: readonly Tensor[],
    taps: Recording["taps"],
    program: Program,
  ) {
    this.width = width;
    this.height = height;
    this.#runner = runner;
    this.#pixels = pixels;
    this.#features = features;
    this.#taps = taps;
    this.#program = program;
  }

  /**
   * Image tokens (I, d), a tensor that the caller owns.
   *
   * @param pixels normalised (H·W, 4), as `pixelsOf` makes them
   */
  async encode(pixels: Float32Array, signal?: AbortSignal): Promise<Tensor> {
    const [features] = await this.encodeAll([pixels], signal);
    return features!;
  }

  /** The same for as many images as the session takes. */
  async encodeAll(images: readonly Float32Array[], signal?: AbortSignal): Promise<Tensor[]> {
    const runner = this.#runner;
    for (const [i, tensor] of this.#pixels.entries()) runner.write(tensor, images[i]!);
    await this.#program.run(signal);
    for (const [name, tensor] of this.#taps) this.tapped.set(name, await runner.read(tensor));
    const copies: Tensor[] = [];
    try {
      for (const features of this.#features) {
        copies.push(runner.zeros("image features", features.shape));
        runner.copy(features, copies.at(-1)!);
      }
      return copies;
    } catch (error) {
      for (const tensor of copies) runner.free(tensor);
      throw error;
    }
  }

  dispose(): void {
    this.#program.dispose();
    for (const tensor of this.#pixels) this.#runner.free(tensor);
  }
}
