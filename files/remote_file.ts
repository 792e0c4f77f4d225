import { allocate, missing, openContent, type RangedFile, ranged, unreadable } from "./ranged_file.ts";
import { reasonOf, webRequest } from "./web_request.ts";

/** A small read fetches the whole block that it lies in: a model has hundreds of small tensors side by side. */
export const BLOCK_BYTES = 4 * 2 ** 20;
/** Blocks in memory; weights are read almost in the order in which they lie. */
const KEPT_BLOCKS = 4;

interface RemoteOptions {
  readonly signal?: AbortSignal | undefined;
  readonly fetch?: typeof fetch | undefined;
}

/**
 * Reads a file with HTTP range requests (RFC 9110, section 14). The first one brings the first block, which is all
 * of a small file. A server that does not know ranges answers it with the whole file; that answer is then kept as a
 * Blob. A web page in place of the file is what servers of single-page applications send for a missing one.
 *
 * @throws {Florence2Error} file_not_found or file_unreadable
 */
export async function openRemote(
  url: URL,
  name: string,
  { signal, fetch = globalThis.fetch }: RemoteOptions = {},
): Promise<RangedFile> {
  const request = webRequest(url);
  /** Asks for a range, or for all. */
  const ask = async (start?: number, end = 0): Promise<Response> => {
    const headers = {
      ...request.headers,
      ...(start !== undefined && { Range: `bytes=${start}-${end - 1}` }),
    };
    try {
      return await fetch(request.url, { headers, ...(signal && { signal }) });
    } catch (error) {
      signal?.throwIfAborted();
      throw unreadable(name, `cannot be fetched (${reasonOf(error)})`, error);
    }
  };
  const first = await ask(0, BLOCK_BYTES);
  if (first.ok && /^text\/html\b/i.test(first.headers.get("content-type") ?? "")) {
    await first.body?.cancel();
    throw missing(name, "the server, which sends a web page in its place");
  }
  if (first.status === 200) return openContent(await wholeOf(first, name, signal), name, signal);
  if (isEncoded(first)) {
    // A part of a compressed file, of which a browser's cache makes ranges, cannot be read alone.
    await first.body?.cancel();
    const whole = await ask();
    if (whole.status === 200) return openContent(await wholeOf(whole, name, signal), name, signal);
    throw unreadable(name, `cannot be fetched: the server answered with status ${whole.status}`);
  }
  const [, last, total] =
    /^bytes (?:0-(\d+)|\*)\/(\d+)$/.exec(first.headers.get("content-range") ?? "") ?? [];
  const size = Number(total ?? Number.NaN);
  const refused = refusalOf(first, name, size);
  if (refused) {
    await first.body?.cancel();
    throw refused;
  }
  const fetchRange = async (start: number, end: number) => {
    const response = await ask(start, end);
    const range = response.headers.get("content-range");
    if (
      response.status !== 206 ||
      range !== `bytes ${start}-${end - 1}/${size}` ||
      response.headers.get("etag") !== first.headers.get("etag")
    ) {
      await response.body?.cancel();
      throw unreadable(name, `changed while it was read, or the server failed (status ${response.status})`);
    }
    return received(response, end - start, name, signal);
  };
  // Read on demand: a check whether the file exists does not wait for its bytes.
  let begun: Response | undefined = first;
  const takeFirst = (length: number) => {
    const response = begun;
    begun = undefined;
    return response && Number(last) === length - 1 ? received(response, length, name, signal) : undefined;
  };
  const blocks = new Map<number, Promise<Uint8Array<ArrayBuffer>>>();
  const block = (index: number) => {
    const [start, end] = [index * BLOCK_BYTES, Math.min((index + 1) * BLOCK_BYTES, size)];
    const bytes = blocks.get(index) ?? (index === 0 ? takeFirst(end) : undefined) ?? fetchRange(start, end);
    blocks.delete(index);
    blocks.set(index, bytes);
    bytes.catch(() => blocks.delete(index));
    if (blocks.size > KEPT_BLOCKS) blocks.delete(blocks.keys().next().value!);
    return bytes;
  };
  const read = async (start: number, end: number) => {
    if (end - start >= BLOCK_BYTES) return fetchRange(start, end);
    const bytes = allocate(end - start, name);
    for (let index = Math.floor(start / BLOCK_BYTES); index * BLOCK_BYTES < end; index++) {
      const from = index * BLOCK_BYTES;
      const part = (await block(index)).subarray(Math.max(0, start - from), end - from);
      bytes.set(part, Math.max(0, from - start));
    }
    return bytes;
  };
  return ranged(name, size, signal, read, async () => {
    blocks.clear();
    await begun?.body?.cancel();
  });
}

/** Whether the bytes of an answer are not those of the file. */
const isEncoded = ({ headers }: Response) => !/^(identity)?$/.test(headers.get("content-encoding") ?? "");

async function wholeOf(response: Response, name: string, signal?: AbortSignal): Promise<Blob> {
  return response.blob().catch((error: unknown) => {
    signal?.throwIfAborted();
    throw unreadable(name, "broke off while it was fetched", error);
  });
}

/** The error for a first answer that brings no range of the file. */
function refusalOf({ status }: Response, name: string, size: number) {
  if (status === 404 || status === 410) return missing(name, "the server");
  if (!(status === 206 || (status === 416 && size === 0))) {
    return unreadable(name, `cannot be fetched: the server answered with status ${status}`);
  }
  if (Number.isSafeInteger(size)) return undefined;
  return unreadable(name, "cannot be read in ranges: the server does not show its size in Content-Range");
}

/** The body of an answer into one buffer. Stops at the first byte that was not asked for. */
async function received(
  response: Response,
  length: number,
  name: string,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = allocate(length, name);
  const reader = response.body?.getReader();
  let filled = 0;
  try {
    for (;;) {
      const chunk = (await reader?.read())?.value;
      if (!chunk) break;
      bytes.set(chunk, filled); // throws where the chunk reaches beyond the end
      filled += chunk.length;
    }
  } catch (error) {
    await reader?.cancel().catch(() => {});
    signal?.throwIfAborted();
    throw unreadable(name, `broke off while it was fetched, after ${filled} of ${length} bytes`, error);
  }
  if (filled === length) return bytes;
  throw unreadable(name, `ended while it was fetched: ${filled} bytes instead of ${length}`);
}
