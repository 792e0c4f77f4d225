import { ApiError, type FetchOptions, ImageFetcher } from "florence2-server/images";
import { Florence2Error } from "florence2-webgpu";
import type { FetchUrl } from "./load_item.ts";

/** Tries of a fetch that a busy host refuses or that breaks, with pauses that grow from the first one. */
const TRIES = 4;
const FIRST_PAUSE = 500;

/** Which hosts images are fetched from, and how much. */
export const FETCH_DEFAULTS: FetchOptions = {
  imageUrls: "public",
  allowedMediaDomains: [],
  imageUrlSchemes: ["https", "http"],
  maxImageBytes: 100e6,
  imageUrlTimeout: 30_000,
};

/** Fetches images by the server's policy: public addresses alone, unless `options` say otherwise. */
export function urlFetcher(options: FetchOptions = FETCH_DEFAULTS): FetchUrl {
  const fetcher = new ImageFetcher(options);
  return async (url, signal) => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await fetcher.fetch(url, "url", signal);
      } catch (error) {
        if (signal.aborted || !(error instanceof ApiError)) throw error;
        if (error.status >= 500 && attempt < TRIES) {
          await new Promise((wake) => setTimeout(wake, FIRST_PAUSE * 2 ** (attempt - 1)));
          continue;
        }
        const code = error.status === 413 ? "image_too_large" : "download_failed";
        const isRefused = error.code === "image_url_not_allowed" && options.imageUrls !== "any";
        const remedy = isRefused ? " For images of your own network: --image-urls any." : "";
        throw new Florence2Error(code, `${error.message}${remedy}`, { url, status: error.status }, error);
      }
    }
  };
}
