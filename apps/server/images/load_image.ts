import { ApiError, badRequest } from "../http/errors.ts";
import type { Metrics } from "../operations/metrics.ts";
import { decodeDataUrl } from "./data_url.ts";
import type { ImageFetcher } from "./fetch_image.ts";

/** Where an image is, as a request names it. */
export type ImageReference =
  | { readonly url: string; readonly param: string }
  | { readonly fileId: string; readonly param: string }
  | { readonly bytes: Uint8Array; readonly param: string };

export interface ImageLoaderOptions {
  readonly fetcher: ImageFetcher;
  readonly maxImageBytes: number;
  /** The content of an uploaded file; undefined if there is none of this name. */
  readonly readFile: (id: string, maxBytes: number) => Promise<Uint8Array | undefined>;
  readonly metrics: Metrics;
}

/** Gets the bytes of images, bounded, from wherever requests say that they are. */
export class ImageLoader {
  readonly #options: ImageLoaderOptions;

  constructor(options: ImageLoaderOptions) {
    this.#options = options;
  }

  async load(reference: ImageReference, signal: AbortSignal): Promise<Uint8Array> {
    const { maxImageBytes, metrics, fetcher, readFile } = this.#options;
    const { param } = reference;
    if ("bytes" in reference) {
      metrics.images.inc({ source: "upload" });
      return this.#bounded(reference.bytes, param);
    }
    if ("fileId" in reference) {
      metrics.images.inc({ source: "file" });
      const bytes = await readFile(reference.fileId, maxImageBytes);
      if (!bytes) throw new ApiError(404, "file_not_found", "There is no file of this id.", { param });
      return this.#bounded(bytes, param);
    }
    if (/^data:/i.test(reference.url)) {
      metrics.images.inc({ source: "data" });
      return decodeDataUrl(reference.url, maxImageBytes, param);
    }
    metrics.images.inc({ source: "url" });
    const end = metrics.fetchSeconds.startTimer();
    try {
      return await fetcher.fetch(reference.url, param, signal);
    } finally {
      end();
    }
  }

  #bounded(bytes: Uint8Array, param: string): Uint8Array {
    const { maxImageBytes } = this.#options;
    if (bytes.length === 0) throw badRequest("invalid_image", "The image has 0 bytes.", param);
    if (bytes.length > maxImageBytes)
      throw new ApiError(
        413,
        "image_too_large",
        `The image has ${bytes.length} bytes; at most ${maxImageBytes} are taken.`,
        { param },
      );
    return bytes;
  }
}
