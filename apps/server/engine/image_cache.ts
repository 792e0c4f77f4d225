import { createHash } from "node:crypto";
import type { EncodedImage } from "./engine.ts";
import { raced } from "./signals.ts";

interface Entry {
  readonly key: string;
  readonly image: Promise<EncodedImage>;
  /** Ends the look when no one waits for it any more. */
  readonly look: AbortController;
  bytes: number;
  users: number;
  isDropped: boolean;
}

export interface Borrowed {
  readonly image: EncodedImage;
  /** The image had been looked at before. */
  readonly isHit: boolean;
  /** To be called once, when the image is no longer used. */
  release(): void;
}

/**
 * Images that the model has looked at, by the SHA-256 of their files: the least recently used leave first when
 * they take more than `maxBytes` together. Requests for the same image at the same time share one look.
 */
export class ImageCache {
  readonly #maxBytes: number;
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The image of a file, by `look` if it is not there. A failed look is forgotten, and one that no one waits for is ended. */
  async borrow(
    file: Uint8Array,
    look: (signal: AbortSignal) => Promise<EncodedImage>,
    signal: AbortSignal,
  ): Promise<Borrowed> {
    const key = createHash("sha256").update(file).digest("base64");
    const known = this.#entries.get(key);
    const entry = known ?? this.#open(key, look);
    entry.users++;
    // Behind all others: a Map keeps the order of insertion.
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    let isReleased = false;
    const release = () => {
      if (!isReleased) this.#leave(entry);
      isReleased = true;
    };
    try {
      return { image: await raced(entry.image, signal), isHit: known !== undefined, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Forgets all images; those in use are freed when their users are done. */
  clear(): void {
    for (const entry of [...this.#entries.values()]) this.#drop(entry);
  }

  #open(key: string, look: (signal: AbortSignal) => Promise<EncodedImage>): Entry {
    const controller = new AbortController();
    const image = look(controller.signal);
    const entry: Entry = { key, image, look: controller, bytes: 0, users: 0, isDropped: false };
    image.then(
      ({ bytes }) => {
        if (entry.isDropped) return;
        entry.bytes = bytes;
        this.#bytes += bytes;
        this.#shrink();
      },
      () => this.#drop(entry),
    );
    return entry;
  }

  #shrink(): void {
    for (const entry of [...this.#entries.values()]) {
      if (this.#bytes <= this.#maxBytes) return;
      if (entry.bytes > 0) this.#drop(entry);
    }
  }

  #drop(entry: Entry): void {
    if (entry.isDropped) return;
    if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key);
    this.#bytes -= entry.bytes;
    entry.isDropped = true;
    if (entry.users === 0) free(entry);
  }

  #leave(entry: Entry): void {
    entry.users--;
    if (entry.users > 0) return;
    if (entry.bytes === 0) {
      // No request waits for an image that is still being encoded.
      this.#drop(entry);
      entry.look.abort();
    } else if (entry.isDropped) {
      free(entry);
    }
  }
}

function free({ image }: Entry): void {
  image.then(
    (encoded) => encoded.dispose(),
    () => {},
  );
}
