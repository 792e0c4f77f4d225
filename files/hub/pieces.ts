/**
 * A file in the browser's Cache API: in pieces of one size under its address and `?piece=k`, as they come, and what
 * is left under the address itself in the end. A download that a page was left in goes on there; two pages that
 * download the same write the same pieces.
 */
import type { Sink } from "./requests.ts";

/** Bytes. */
export const PIECE = 16 * 2 ** 20;
/** The header that tells how many pieces come before what is left. */
const COUNT = "x-pieces";

/** Puts a response into the cache; whether it is kept there. */
export type Keep = (url: string, response: Response) => Promise<boolean>;

const pieceUrl = (url: URL, index: number) => `${url.href}?piece=${index}`;

/** The file, if all of it is kept. */
export async function joinedFile(cache: Cache | undefined, url: URL): Promise<Blob | undefined> {
  const last = await cache?.match(url.href);
  if (!last) return undefined;
  const pieces = await keptPieces(cache, url);
  const count = Number(last.headers.get(COUNT) ?? 0);
  return pieces.length < count ? undefined : new Blob([...pieces.slice(0, count), await last.blob()]);
}

async function keptPieces(cache: Cache | undefined, url: URL): Promise<Blob[]> {
  const pieces: Blob[] = [];
  for (;;) {
    const found = await cache?.match(pieceUrl(url, pieces.length));
    if (!found) return pieces;
    pieces.push(await found.blob());
  }
}

/** Takes a download where an earlier one ended. What the cache has no room for is held by the page alone. */
export class Pieces implements Sink {
  readonly #cache: Cache | undefined;
  readonly #url: URL;
  readonly #keep: Keep;
  #pieces: Blob[];
  #isKept = true;
  #pending: Uint8Array<ArrayBuffer>[] = [];
  #pendingBytes = 0;

  static async open(cache: Cache | undefined, url: URL, keep: Keep): Promise<Pieces> {
    return new Pieces(cache, url, keep, await keptPieces(cache, url));
  }

  private constructor(cache: Cache | undefined, url: URL, keep: Keep, pieces: Blob[]) {
    [this.#cache, this.#url, this.#keep, this.#pieces] = [cache, url, keep, pieces];
  }

  async length(): Promise<number> {
    return PIECE * this.#pieces.length + this.#pendingBytes;
  }

  async truncate(length: number): Promise<void> {
    const whole = Math.floor(length / PIECE);
    const dropped = new Blob([...this.#pieces.slice(whole), ...this.#pending]).slice(0, length % PIECE);
    await this.#forget(whole);
    this.#pieces.length = Math.min(whole, this.#pieces.length);
    this.#pending = [new Uint8Array(await dropped.arrayBuffer())];
    this.#pendingBytes = dropped.size;
  }

  async append(chunk: Uint8Array<ArrayBuffer>): Promise<void> {
    const fits = PIECE - this.#pendingBytes;
    this.#pending.push(chunk.subarray(0, fits));
    this.#pendingBytes += Math.min(fits, chunk.length);
    if (this.#pendingBytes < PIECE) return;
    const piece = this.#flush();
    await this.#keepAs(pieceUrl(this.#url, this.#pieces.length), new Response(piece));
    this.#pieces.push(piece);
    await this.append(chunk.subarray(fits));
  }

  /** The bytes so far. */
  joined(): Blob {
    return new Blob([...this.#pieces, ...this.#pending]);
  }

  /** The file, once all of it came. */
  async finish(): Promise<Blob> {
    const file = this.joined();
    const headers = { [COUNT]: String(this.#pieces.length) };
    await this.#keepAs(this.#url.href, new Response(this.#flush(), { headers }));
    return file;
  }

  #flush(): Blob {
    const blob = new Blob(this.#pending);
    [this.#pending, this.#pendingBytes] = [[], 0];
    return blob;
  }

  async #keepAs(url: string, response: Response): Promise<void> {
    if (!this.#isKept) return;
    this.#isKept = await this.#keep(url, response);
    // The room is of use to others.
    if (!this.#isKept) await this.#forget(0);
  }

  /** Deletes pieces from the cache from one on. */
  async #forget(from: number): Promise<void> {
    for (let index = from; index < this.#pieces.length; index++)
      await this.#cache?.delete(pieceUrl(this.#url, index));
  }
}
