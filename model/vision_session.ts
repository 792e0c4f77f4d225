import { Recording, type RecordingOptions } from "../core/recording.ts";
import type { Program, Runner } from "../core/runner.ts";
import type { Tensor, TensorData } from "../core/tensor.ts";
import type { Florence2Config, ImageConfig } from "./config/config.ts";
import { visionTower } from "./davit.ts";
import { projectImage } from "./projector.ts";
import type { Weights } from "./weights/load_weights.ts";

/** Red, green, blue and a zero: filters read channels in fours. */
const PIXEL_CHANNELS = 4;

/** The recorded way from pixels to picture tokens, run once for each picture. */
export class VisionSession {
  readonly #runner: Runner;
  readonly #pixels: Tensor;
  readonly #features: Tensor;
  readonly #taps: Recording["taps"];
  readonly #program: Program;
  /** Stages of the last picture that were asked for, by name. */
  readonly tapped = new Map<string, TensorData>();

  static async open(
    runner: Runner,
    weights: Weights,
    config: Florence2Config,
    { width, height }: ImageConfig,
    recording: RecordingOptions = {},
  ): Promise<VisionSession> {
    const pixels = runner.zeros("pixel values", [height * width, PIXEL_CHANNELS]);
    try {
      const rec = new Recording({ ...recording, profile: runner.profile });
      const map = visionTower(rec, weights.vision, { x: pixels, height, width }, config.vision);
      const features = rec.keep(
        projectImage(rec, weights.projector, map, config.projection.imageFeatureSource),
      );
      return new VisionSession(runner, pixels, features, rec.taps, await runner.prepare(rec));
    } catch (error) {
      runner.free(pixels);
      throw error;
    }
  }

  private constructor(
    runner: Runner,
    pixels: Tensor,
    features: Tensor,
    taps: Recording["taps"],
    program: Program,
  ) {
    this.#runner = runner;
    this.#pixels = pixels;
    this.#features = features;
    this.#taps = taps;
    this.#program = program;
  }

  /** Picture tokens (I, d) of normalised pixels (3, H, W). The tensor is the caller's. */
  async see(pixelValues: Float32Array, signal?: AbortSignal): Promise<Tensor> {
    const runner = this.#runner;
    runner.write(this.#pixels, pixelsOf(pixelValues));
    await this.#program.run(signal);
    for (const [name, { tensor }] of this.#taps) this.tapped.set(name, await runner.read(tensor));
    const features = runner.zeros("image features", this.#features.shape);
    runner.copy(this.#features, features);
    return features;
  }

  dispose(): void {
    this.#program.dispose();
    this.#runner.free(this.#pixels);
  }
}

/** Planes (3, H, W) as pixels (HW, PIXEL_CHANNELS). */
function pixelsOf(planes: Float32Array): Float32Array<ArrayBuffer> {
  const count = planes.length / 3;
  const pixels = new Float32Array(count * PIXEL_CHANNELS);
  for (let i = 0; i < count; i++) {
    pixels[i * PIXEL_CHANNELS] = planes[i]!;
    pixels[i * PIXEL_CHANNELS + 1] = planes[count + i]!;
    pixels[i * PIXEL_CHANNELS + 2] = planes[2 * count + i]!;
  }
  return pixels;
}
