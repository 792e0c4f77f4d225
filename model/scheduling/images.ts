import type { Runner } from "../../core/runner.ts";
import type { Florence2Config } from "../config/config.ts";
import { configFor, type ImageConfig } from "../config/image.ts";
import { EncodedImage } from "../encoded_image.ts";
import { type ImageInput, loadImage } from "../image/load.ts";
import { type EncodeOptions, type ImagePixels, pixelsOf } from "../image/preprocess.ts";
import { VisionSession } from "../vision_session.ts";
import type { Weights } from "../weights/load_weights.ts";
import type { DeviceQueue } from "./device_queue.ts";
import { Semaphore } from "./semaphore.ts";

/** Images that are loaded, or waiting for the device as pixels (9 MB each for base), at a time. */
const LOADED_AHEAD = 8;

/** The parts of a model that encode images. */
export interface ImageModel {
  readonly runner: Runner;
  readonly weights: Weights;
  readonly config: Florence2Config;
  readonly imageConfig: ImageConfig;
}

/**
 * Loads images while the device computes, a few ahead, and has it encode them. Calls that ask about the same
 * image while it is waiting share it: the same bytes or Blob, or the same path or URL before it is read.
 */
export class ImageQueue {
  readonly #model: ImageModel;
  readonly #device: DeviceQueue;
  /** Slow servers hold up images of other servers at most. */
  readonly #places = { local: new Semaphore(LOADED_AHEAD), remote: new Semaphore(LOADED_AHEAD) };
  readonly #shared = new Map<unknown, QueuedImage>();
  #vision: VisionSession | undefined;

  constructor(model: ImageModel, device: DeviceQueue) {
    this.#model = model;
    this.#device = device;
  }

  /** Queues an image. Each caller that asks for it leaves it at the end, also after a failure. */
  open(input: ImageInput, options: EncodeOptions): QueuedImage {
    const settings = settingsKey(options);
    const key = input instanceof URL ? input.href : input;
    const known = this.#shared.get(key);
    if (known?.settings === settings) return known.join();
    const forget = () => {
      if (this.#shared.get(key) === image) this.#shared.delete(key);
    };
    const image: QueuedImage = new QueuedImage(settings, {
      load: (signal) => this.#load(input, { ...options, signal }, forget),
      encode: (pixels, signal) => this.#encode(pixels, signal),
      forget,
    });
    if (isEncodedFile(input)) this.#shared.set(key, image);
    return image;
  }

  /** Loads and encodes an image that belongs to the caller alone. */
  async encode(input: ImageInput, options: EncodeOptions & { signal: AbortSignal }): Promise<EncodedImage> {
    const { release, ...pixels } = await this.#load(input, options, () => {});
    try {
      return await this.#encode(pixels, options.signal);
    } finally {
      release();
    }
  }

  async #load(input: ImageInput, encode: EncodeOptions, forget: () => void): Promise<Loaded> {
    const { imageSize, ...options } = encode;
    // Pixels are copied at once: the caller may go on to change them.
    const copied = isEncodedFile(input) ? undefined : loadImage(input, options);
    copied?.catch(() => {});
    const places = isRemote(input) ? this.#places.remote : this.#places.local;
    const release = await places.acquire(options.signal);
    try {
      // A file may change as soon as it is read.
      if (!isImmutable(input)) forget();
      const image = await (copied ?? loadImage(input, options));
      return { ...pixelsOf(image, configFor(this.#model.imageConfig, image, imageSize)), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  #encode({ pixels, config, ...size }: ImagePixels, signal: AbortSignal): Promise<EncodedImage> {
    return this.#device.turn(async () => {
      const vision = await this.#visionFor(config);
      return new EncodedImage(await vision.encode(pixels, signal), size, this.#model.runner);
    }, signal);
  }

  /** The program for images of a size. One is kept: it holds the memory of all stages. */
  async #visionFor(imageConfig: ImageConfig): Promise<VisionSession> {
    const { width, height } = imageConfig;
    if (this.#vision?.width === width && this.#vision.height === height) return this.#vision;
    this.#vision?.dispose();
    this.#vision = undefined;
    const { runner, weights, config } = this.#model;
    this.#vision = await VisionSession.open(runner, weights, config, imageConfig);
    return this.#vision;
  }
}

/** Pixels, and how their place among the loaded ones is given back. */
interface Loaded extends ImagePixels {
  readonly release: () => void;
}

interface ImageSteps {
  load(signal: AbortSignal): Promise<Loaded>;
  encode(pixels: ImagePixels, signal: AbortSignal): Promise<EncodedImage>;
  /** Closed: no further caller can join. */
  forget(): void;
}

/** An image on its way to the device, for one or more calls. */
class QueuedImage {
  /** Options of loading. */
  readonly settings: string;
  readonly #steps: ImageSteps;
  readonly #controller = new AbortController();
  readonly #loaded: Promise<Loaded>;
  #encoded: Promise<EncodedImage> | undefined;
  #users = 1;

  constructor(settings: string, steps: ImageSteps) {
    this.settings = settings;
    this.#steps = steps;
    this.#loaded = steps.load(this.#controller.signal);
    // The calls that ask for the image report the failure.
    this.#loaded.catch(() => steps.forget());
  }

  /** Its size in pixels, once it is loaded. Rejects with what `loadImage` throws. */
  async size(): Promise<{ readonly width: number; readonly height: number }> {
    const { width, height } = await this.#loaded;
    return { width, height };
  }

  /** Encodes it, once for all calls. It stays on the device until all have left. */
  encode(): Promise<EncodedImage> {
    this.#encoded ??= this.#loaded.then(async ({ release, ...pixels }) => {
      try {
        return await this.#steps.encode(pixels, this.#controller.signal);
      } finally {
        release();
      }
    });
    return this.#encoded;
  }

  join(): this {
    this.#users++;
    return this;
  }

  /** The last call that leaves ends what is still to be done, and has the memory given back. */
  async leave(): Promise<void> {
    this.#users--;
    if (this.#users > 0) return;
    this.#steps.forget();
    this.#controller.abort();
    const ended = (promise: Promise<unknown> | undefined) => promise?.catch(() => {});
    const [loaded, encoded] = [this.#loaded, this.#encoded];
    await ended(loaded.then(({ release }) => release()));
    await ended(encoded?.then((image) => image.dispose()));
  }
}

/** Equal for options that load an image alike. */
function settingsKey({ signal, ...options }: EncodeOptions): string {
  return JSON.stringify(Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Whether it is a file, read and decoded when its turn comes, instead of pixels. */
const isEncodedFile = (input: ImageInput) =>
  typeof input === "string" ||
  ArrayBuffer.isView(input) ||
  ["URL", "Blob", "File", "ArrayBuffer"].includes(Object.prototype.toString.call(input).slice(8, -1));

const isRemote = (input: ImageInput) =>
  (typeof input === "string" || input instanceof URL) && /^https?:/i.test(String(input));

/** Whether its content stays the same as long as a call on it is pending. */
const isImmutable = (input: ImageInput) =>
  typeof input === "string" || input instanceof URL ? /^(data|blob):/i.test(String(input)) : true;
