import { Recording, type RecordingOptions } from "../core/recording.ts";
import type { Program, Runner } from "../core/runner.ts";
import type { Tensor, TensorData } from "../core/tensor.ts";
import type { Florence2Config } from "./config/config.ts";
import type { ImageConfig } from "./config/image.ts";
import { PIXEL_CHANNELS } from "./image/preprocess.ts";
import { recordVision } from "./recordings.ts";
import type { Weights } from "./weights/load_weights.ts";

/** The program from pixels to image tokens, run once for each image. */
export class VisionSession {
  /** Size of the images that it takes, in pixels. */
  readonly width: number;
  readonly height: number;
  readonly #runner: Runner;
  readonly #pixels: Tensor;
  readonly #features: Tensor;
  readonly #taps: Recording["taps"];
  readonly #program: Program;
  /** Stages of the last image that were asked for, by name. */
  readonly tapped = new Map<string, TensorData>();

  static async open(
    runner: Runner,
    weights: Weights,
    config: Florence2Config,
    imageConfig: ImageConfig,
    recording: RecordingOptions = {},
  ): Promise<VisionSession> {
    const shape = [imageConfig.height * imageConfig.width, PIXEL_CHANNELS];
    const pixels = runner.zeros("pixels", shape);
    try {
      const rec = new Recording({ ...recording, profile: runner.profile });
      const features = recordVision(rec, weights, pixels, imageConfig, config);
      return new VisionSession(imageConfig, runner, pixels, features, rec.taps, await runner.prepare(rec));
    } catch (error) {
      runner.free(pixels);
      throw error;
    }
  }

  private constructor(
    { width, height }: ImageConfig,
    runner: Runner,
    pixels: Tensor,
    features: Tensor,
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
    const runner = this.#runner;
    runner.write(this.#pixels, pixels);
    await this.#program.run(signal);
    for (const [name, tensor] of this.#taps) this.tapped.set(name, await runner.read(tensor));
    const features = runner.zeros("image features", this.#features.shape);
    runner.copy(this.#features, features);
    return features;
  }

  dispose(): void {
    this.#program.dispose();
    this.#runner.free(this.#pixels);
  }
}
