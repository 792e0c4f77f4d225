import { Florence2Error } from "../../core/errors.ts";
import { hasFileSystem } from "../../core/platform.ts";
import { type FileSource, openFile } from "../../files/files.ts";
import { shortened } from "../../files/ranged_file.ts";
import { isArrayBuffer, isBlob, isUint8Array, isUrlObject } from "../../files/realms.ts";
import { reasonOf, shownUrl, webRequest } from "../../files/web_request.ts";
import { isResponse, isStream, type ResponseLike } from "./inputs.ts";
import { checkBytes } from "./limits.ts";
import type { ImageInput } from "./load.ts";

/** Two letters at least, so that the C of a Windows path is no scheme. */
const schemePattern = /^([a-z][a-z0-9+.-]+):/i;
/** The first characters of JPEG, PNG, GIF, WebP, BMP and TIFF in base64. */
const base64Pattern = /^(\/9j\/|iVBORw0KGgo|R0lGOD|UklGR|Qk[0-3]|SUkqA|TU0AK)/;

/**
 * The bytes of an encoded file: given, or behind a path, a `file:`, `http(s):`, `blob:` or `data:` URL, a Blob, a
 * `Response` or a stream, at most `maxBytes`. In a browser a path is relative to the page.
 *
 * @throws {Florence2Error} `file_not_found`, `file_unreadable` (also for a directory, pipe or device),
 *   `image_too_large`, and `image_invalid` for other values, a URL of another scheme, base64 without the beginning of a
 *   `data:` URL, or a malformed one, whose text is never repeated
 */
export async function bytesOf(
  input: ImageInput,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  if (isUint8Array(input) || isArrayBuffer(input)) return viewBytes(input);
  if (isBlob(input)) return readFile(input, maxBytes, signal);
  if (isResponse(input)) return readResponse(input, input.url || "the response", maxBytes, signal);
  if (isStream(input)) return readStream(input, "the stream", maxBytes, signal);
  if (typeof input !== "string" && !isUrlObject(input)) throw noImage(input);
  const text = String(input);
  const scheme = schemePattern.exec(text)?.[1]?.toLowerCase();
  if (scheme === "data") return readDataUrl(text, maxBytes);
  if (scheme === undefined && isBase64(text)) {
    throw new Florence2Error(
      "image_invalid",
      `The text of ${text.length} characters is no path but an image in base64. Put data:image/jpeg;base64, before it, or pass its bytes.`,
      { length: text.length },
    );
  }
  if ((scheme ?? "file") === "file" && hasFileSystem) return readFile(input, maxBytes, signal);
  if (["blob", "file", "http", "https", undefined].includes(scheme)) return download(text, maxBytes, signal);
  throw new Florence2Error(
    "image_invalid",
    `An image cannot be read from a URL of scheme "${scheme}"; blob, data, file, http and https can.`,
    { scheme },
  );
}

/** A path or URL as errors show it: without credentials and query, and short. Undefined for images without a name. */
export function nameOf(input: ImageInput): string | undefined {
  if (isBlob(input)) return "name" in input ? shortened(String(input.name)) : undefined;
  if (isResponse(input)) return input.url ? nameOf(input.url) : undefined;
  if (typeof input !== "string" && !isUrlObject(input)) return undefined;
  const text = String(input);
  if (/^data:/i.test(text) || isBase64(text)) return undefined;
  return shortened(schemePattern.test(text) && URL.canParse(text) ? shownUrl(new URL(text)) : text);
}

/** Whether a text is an image in base64: long, of its alphabet alone, or with the first characters of a format. */
function isBase64(text: string): boolean {
  const isOfAlphabet = /^[A-Za-z0-9+/_-]+={0,2}\s*$/.test(text.slice(0, 4096).replace(/[\r\n]/g, ""));
  return isOfAlphabet && (text.length > 1024 || (text.length > 64 && base64Pattern.test(text)));
}

function viewBytes(input: Uint8Array | ArrayBuffer): Uint8Array {
  // A view of a detached buffer would be refused with an untyped error.
  if (input.byteLength === 0) return new Uint8Array();
  // Decoders take no bytes of another realm, and no shared memory, which might change under them.
  if (input instanceof ArrayBuffer) return new Uint8Array(input);
  if (isArrayBuffer(input)) return new Uint8Array(input).slice();
  return input instanceof Uint8Array && input.buffer instanceof ArrayBuffer ? input : new Uint8Array(input);
}

function noImage(input: unknown): Florence2Error {
  const found = Object.prototype.toString.call(input).slice("[object ".length, -1);
  return new Florence2Error(
    "image_invalid",
    "An image is a path, URL, Uint8Array, ArrayBuffer, Blob, Response, ReadableStream or { data, width, height, channels }, " +
      `not ${found}.`,
    { found },
  );
}

async function readFile(source: FileSource, maxBytes: number, signal?: AbortSignal): Promise<Uint8Array> {
  const file = await openFile(source, { signal });
  try {
    checkBytes(file.size, maxBytes);
    return await file.read(0, file.size);
  } finally {
    await file.close();
  }
}

/** Data: URLs as in RFC 2397 and the Fetch standard; the media type is not looked at. */
async function readDataUrl(url: string, maxBytes: number): Promise<Uint8Array> {
  // Base64 writes 3 bytes as 4 characters, percent-encoding 1 byte as up to 3.
  checkBytes(Math.floor(url.length / 3) - 64, maxBytes);
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
  } catch (error) {
    throw new Florence2Error(
      "image_invalid",
      `The data: URL of ${url.length} characters is malformed: it must be data:image/...;base64, and then base64 in the standard alphabet.`,
      { length: url.length },
      error,
    );
  }
  checkBytes(bytes.length, maxBytes);
  return bytes;
}

async function download(text: string, maxBytes: number, signal?: AbortSignal): Promise<Uint8Array> {
  const base = hasFileSystem ? undefined : location.href;
  if (!URL.canParse(text, base)) {
    throw new Florence2Error("file_unreadable", "The URL is malformed: it has no valid host or path.");
  }
  const url = new URL(text, base);
  const request = webRequest(url);
  let response: Response;
  try {
    response = await fetch(request.url, { headers: request.headers, ...(signal && { signal }) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw unreadable(shownUrl(url), `no answer (${reasonOf(error)}).`, error);
  }
  return readResponse(response, shownUrl(url), maxBytes, signal);
}

async function readResponse(
  response: ResponseLike,
  from: string,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const name = shortened(URL.canParse(from) ? shownUrl(new URL(from)) : from);
  const { status } = response;
  if (!response.ok) {
    await response.body?.cancel();
    if (status !== 404 && status !== 410) throw unreadable(name, `the server answered ${status}.`);
    throw new Florence2Error("file_not_found", `There is no image at ${name} (${status}).`, {
      url: name,
      status,
    });
  }
  if (!response.body) return viewBytes(await response.arrayBuffer());
  const length = "headers" in response ? (response as Response).headers.get("content-length") : undefined;
  if (Number(length) > maxBytes) await response.body.cancel();
  checkBytes(Number(length), maxBytes);
  return readStream(response.body, name, maxBytes, signal);
}

/** Reads a stream as it comes, so that no server can send more than `maxBytes`. */
async function readStream(
  stream: ReadableStream<Uint8Array>,
  name: string,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  if (stream.locked) throw unreadable(name, "its body was read already.");
  const chunks: BlobPart[] = [];
  let length = 0;
  const reader = stream.getReader();
  const stop = () => void reader.cancel(signal?.reason).catch(() => {});
  signal?.addEventListener("abort", stop);
  try {
    for (let chunk = await reader.read(); chunk.value; chunk = await reader.read()) {
      length += chunk.value.length;
      checkBytes(length, maxBytes);
      chunks.push(chunk.value as Uint8Array<ArrayBuffer>);
    }
    signal?.throwIfAborted();
  } catch (error) {
    await reader.cancel().catch(() => {});
    signal?.throwIfAborted();
    if (error instanceof Florence2Error) throw error;
    throw unreadable(name, `the connection broke after ${length} bytes.`, error);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

function unreadable(name: string, reason: string, cause?: unknown): Florence2Error {
  const url = shortened(name);
  return new Florence2Error("file_unreadable", `Cannot download ${url}: ${reason}`, { url }, cause);
}
