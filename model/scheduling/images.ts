import { isOutOfMemory } from "../../core/errors.ts";
import type { Runner } from "../../core/runner.ts";
import { isUrlObject } from "../../files/realms.ts";
import type { Florence2Config } from "../config/config.ts";
import { configFor, type ImageConfig } from "../config/image.ts";
import { EncodedImage } from "../encoded_image.ts";
import { type ImageInput, loadImage } from "../image/load.ts";
import { type EncodeOptions, type ImagePixels, pixelsOf } from "../image/preprocess.ts";
import { VisionSession } from "../vision_session.ts";
import type { Weights } from "../weights/load_weights.ts";
import type { DeviceQueue } from "./device_queue.ts";
import { type Deferred, deferred, onAbort } from "./promises.ts";
import { Semaphore } from "./semaphore.ts";

/** Images that are loaded, or waiting for the device as pixels (9 MB each for base), at a time. */
const LOADED_AHEAD = 8;

/** Images that are encoded together, at most. */
const MOST_TOGETHER = 4;
/** Bytes of pixels that are encoded together, at most, but for a single image: larger ones fill a device alone. */
const TOGETHER_BYTES = 2 ** 20;

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
  #waiting: WaitingImage[] = [];
  /** By the number of images, all of one size. */
  readonly #visions = new Map<number, VisionSession>();
  /** Nothing on a device that has no memory for several. */
  #togetherBytes = TOGETHER_BYTES;

  constructor(model: ImageModel, device: DeviceQueue) {
    this.#model = model;
    this.#device = device;
  }

  /** Queues an image. Each caller that asks for it leaves it at the end, also after a failure. */
  open(input: ImageInput, options: EncodeOptions): QueuedImage {
    const settings = settingsKey(options);
    const key = isUrlObject(input) ? input.href : input;
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
      const config = configFor(this.#model.imageConfig, image, imageSize);
      return { ...(await pixelsOf(image, config)), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Waits for a turn of the device: whichever comes first encodes the image, perhaps with others. */
  #encode(image: ImagePixels, signal: AbortSignal): Promise<EncodedImage> {
    const waiting: WaitingImage = { image, signal, encoded: deferred() };
    this.#waiting.push(waiting);
    const leave = () => {
      const index = this.#waiting.indexOf(waiting);
      if (index < 0) return;
      this.#waiting.splice(index, 1);
      waiting.encoded.reject(signal.reason);
    };
    const unlisten = onAbort(signal, leave);
    if (signal.aborted) leave();
    void this.#device.turn(() => this.#encodeNext()).catch(waiting.encoded.reject);
    return waiting.encoded.promise.finally(unlisten);
  }

  /** Encodes the first of the images that wait, and others of its size beside it. */
  async #encodeNext(): Promise<void> {
    const [first] = this.#waiting;
    if (!first) return;
    const { config } = first.image;
    const alike = this.#waiting.filter(({ image }) => isSameSize(image.config, config));
    const fit = Math.max(1, Math.floor(this.#togetherBytes / first.image.pixels.byteLength));
    // Powers of two, so that few programs are recorded.
    const count = 2 ** Math.floor(Math.log2(Math.min(alike.length, fit, MOST_TOGETHER)));
    const batch = alike.slice(0, count);
    this.#waiting = this.#waiting.filter((waiting) => !batch.includes(waiting));
    try {
      const vision = await this.#visionFor(config, count);
      // Several are few pixels: they are soon done, and end only together.
      const signal = count === 1 ? first.signal : undefined;
      const pixels = batch.map(({ image }) => image.pixels);
      for (const [i, features] of (await vision.encodeAll(pixels, signal)).entries()) {
        const { image, encoded } = batch[i]!;
        encoded.resolve(new EncodedImage(features, image, this.#model.runner));
      }
    } catch (error) {
      if (count > 1 && isOutOfMemory(error)) {
        this.#togetherBytes = 0;
        this.#waiting.unshift(...batch);
        return this.#encodeNext();
      }
      for (const { encoded } of batch) encoded.reject(error);
    }
  }

  /** The program for so many images of a size. Those of one size are kept: they hold the memory of all stages. */
  async #visionFor(imageConfig: ImageConfig, images: number): Promise<VisionSession> {
    const known = this.#visions.get(images);
    if (known && isSameSize(known, imageConfig)) return known;
    for (const [count, vision] of this.#visions) {
      if (isSameSize(vision, imageConfig)) continue;
      vision.dispose();
      this.#visions.delete(count);
    }
    const { runner, weights, config } = this.#model;
    const vision = await VisionSession.open(runner, weights, config, imageConfig, { images });
    this.#visions.set(images, vision);
    return vision;
  }
}

/** An image that is loaded, until the device encodes it. */
interface WaitingImage {
  readonly image: ImagePixels;
  readonly signal: AbortSignal;
  readonly encoded: Deferred<EncodedImage>;
}

const isSameSize = (a: Size, b: Size) => a.width === b.width && a.height === b.height;

type Size = Pick<ImageConfig, "width" | "height">;

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
  (typeof input === "string" || isUrlObject(input)) && /^https?:/i.test(String(input));

/** Whether its content stays the same as long as a call on it is pending. */
const isImmutable = (input: ImageInput) =>
  typeof input === "string" || isUrlObject(input) ? /^(data|blob):/i.test(String(input)) : true;
