import { createHash } from "node:crypto";
import { ApiError } from "../http/errors.ts";

/** Of a SHA-256: 128 bits. */
const DIGITS = 32;
const ID = new RegExp(`^img_[0-9a-f]{${DIGITS}}$`);

/** Files of images that were seen, by an id that their bytes give: an agent sends an image once and asks often. */
export class KeptImages {
  readonly #maxBytes: number;
  readonly #files = new Map<string, Uint8Array>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @example KeptImages.isId("img_0123456789abcdef0123456789abcdef") // true */
  static isId(text: string): boolean {
    return ID.test(text);
  }

  /** Keeps a file and gives its id. The least recently used leave when all together are too large. */
  keep(file: Uint8Array): string {
    const id = `img_${createHash("sha256").update(file).digest("hex").slice(0, DIGITS)}`;
    this.#forget(id);
    this.#files.set(id, file);
    this.#bytes += file.length;
    for (const oldest of this.#files.keys()) {
      if (this.#bytes <= this.#maxBytes || oldest === id) break;
      this.#forget(oldest);
    }
    return id;
  }

  /** @throws {ApiError} 404 `image_unknown` for an image that is not kept, or no longer */
  get(id: string, param: string): Uint8Array {
    const file = this.#files.get(id);
    if (!file)
      throw new ApiError(
        404,
        "image_unknown",
        `No image is kept as ${id.slice(0, 40)}: send the image itself.`,
        {
          param,
        },
      );
    this.keep(file);
    return file;
  }

  #forget(id: string): void {
    this.#bytes -= this.#files.get(id)?.length ?? 0;
    this.#files.delete(id);
  }
}
