import { Florence2Error } from "../../core/errors.ts";
import { hasFileSystem } from "../../core/platform.ts";
import { type FileSource, openFile } from "../../files/files.ts";
import { checkBytes } from "./limits.ts";

/** Two letters at least, so that the C of a Windows path is no scheme. */
const schemePattern = /^([a-z][a-z0-9+.-]+):/i;

/**
 * The bytes behind a path, a `file:`, `http(s):`, `blob:` or `data:` URL or a Blob, at most `maxBytes`. In a
 * browser a path is relative to the page. Throws `file_not_found`, `file_unreadable` (also for a directory,
 * pipe or device), `image_too_large`, and `image_invalid` for a URL of another scheme or a malformed `data:`
 * URL, whose text is never repeated.
 */
export async function readBytes(
  source: string | URL | Blob,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  if (source instanceof Blob) return readFile(source, maxBytes, signal);
  const text = String(source);
  const scheme = schemePattern.exec(text)?.[1]?.toLowerCase() ?? "file";
  if (scheme === "data") return readDataUrl(text, maxBytes);
  if (scheme === "file" && hasFileSystem) return readFile(source, maxBytes, signal);
  if (["blob", "file", "http", "https"].includes(scheme)) return download(text, maxBytes, signal);
  throw new Florence2Error(
    "image_invalid",
    `A picture cannot be read from a URL of scheme "${scheme}"; blob, data, file, http and https can.`,
    { scheme },
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

/** Reads the answer as it comes, so that no server can send more than `maxBytes`. */
async function download(url: string, maxBytes: number, signal?: AbortSignal): Promise<Uint8Array> {
  // Query and credentials may be secrets.
  const name = url.replace(/[?#].*$/s, "").replace(/\/\/[^/]*@/, "//");
  const unreadable = (reason: string, cause?: unknown) =>
    new Florence2Error("file_unreadable", `Cannot download ${name}: ${reason}`, { url: name }, cause);
  let response: Response;
  try {
    response = await fetch(url, { signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw unreadable("no answer.", error);
  }
  if (!response.ok) {
    await response.body?.cancel();
    const { status } = response;
    if (status !== 404 && status !== 410) throw unreadable(`the server answered ${status}.`);
    throw new Florence2Error("file_not_found", `There is no picture at ${name} (${status}).`, {
      url: name,
      status,
    });
  }
  const chunks: BlobPart[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  try {
    checkBytes(Number(response.headers.get("content-length")), maxBytes);
    for (let chunk = await reader?.read(); chunk?.value; chunk = await reader?.read()) {
      length += chunk.value.length;
      checkBytes(length, maxBytes);
      chunks.push(chunk.value);
    }
  } catch (error) {
    await reader?.cancel().catch(() => {});
    if (error instanceof Florence2Error || signal?.aborted) throw error;
    throw unreadable(`the connection broke after ${length} bytes.`, error);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}
