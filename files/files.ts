import { type ErrorCode, Florence2Error, quote } from "../core/errors.ts";
import { fileSystem, hasFileSystem } from "../core/platform.ts";
import { type JsonValue, parseJson } from "./json.ts";

/** The content of one file, in memory or known to the browser (a `File` is a Blob). */
export type FileContent = Blob | Uint8Array | ArrayBuffer;

/** Where the files of a model are: a folder (path, file: or http(s): URL), or the files by name. */
export type Source = string | URL | ReadonlyMap<string, FileContent> | Readonly<Record<string, FileContent>>;

/** One file: a path, a file: or http(s): URL, or its content. */
export type FileSource = string | URL | FileContent;

export interface OpenOptions {
  /** Stops opening and every later read; they reject with the signal's reason. */
  signal?: AbortSignal;
}

/** A file that is read in pieces. */
export interface RangedFile {
  /** As error messages show it. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Bytes start to end - 1, in a buffer of their own. Throws file_unreadable if the file no longer has them. */
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** The files of a model, wherever they are. Names are relative, with "/" between folders. */
export interface Files {
  has(name: string): Promise<boolean>;
  /** The file as UTF-8 text, without a byte order mark. Throws file_not_found or file_unreadable. */
  text(name: string): Promise<string>;
  /** The file as JSON, read strictly (core/json.ts). Throws what `text` throws, and `code` if it is no JSON. */
  json(name: string, code?: ErrorCode): Promise<JsonValue>;
  open(name: string): Promise<RangedFile>;
}

/** A tokenizer.json has 4 MB; something much larger is not a text file of a model. */
const MAX_TEXT_BYTES = 64 * 2 ** 20;

/** One system call or one look at the abort signal per this many bytes. */
const CHUNK_BYTES = 64 * 2 ** 20;

export function openFiles(source: Source, options: OpenOptions = {}): Files {
  return filesOver(opener(source, options.signal));
}

/** Files over a function that opens one of them by name, throwing file_not_found where there is none. */
export function filesOver(openNamed: (name: string) => Promise<RangedFile>): Files {
  const open = async (name: string): Promise<RangedFile> => {
    if (!isRelativeName(name)) throw unreadable(quote(name), "is not the name of a file inside the folder");
    return openNamed(name);
  };
  const text = async (name: string): Promise<string> => {
    const file = await open(name);
    try {
      if (file.size > MAX_TEXT_BYTES) {
        throw unreadable(
          file.name,
          `has ${file.size} bytes, more than the ${MAX_TEXT_BYTES} of any text file here`,
        );
      }
      return new TextDecoder("utf-8", { fatal: true }).decode(await file.read(0, file.size));
    } catch (error) {
      throw error instanceof TypeError ? unreadable(file.name, "is not UTF-8 text", error) : error;
    } finally {
      await file.close();
    }
  };
  return {
    open,
    text,
    async json(name, code = "config_invalid") {
      return parseJson(await text(name), name, code);
    },
    async has(name) {
      try {
        await (await open(name)).close();
        return true;
      } catch (error) {
        if (error instanceof Florence2Error && error.code === "file_not_found") return false;
        throw error;
      }
    },
  };
}

/** Opens one file for reading in ranges. Throws file_not_found or file_unreadable. */
export async function openFile(source: FileSource, options: OpenOptions = {}): Promise<RangedFile> {
  if (typeof source !== "string" && !(source instanceof URL)) {
    const name = source instanceof Blob && "name" in source ? String(source.name) : "the given file";
    return openContent(source, name, options.signal);
  }
  const place = located(source);
  return place instanceof URL && place.protocol !== "file:"
    ? openRemote(place, shown(place), options.signal)
    : openLocal(place, String(source), options.signal);
}

/** Whether a name stays inside the folder that it is looked up in, on every platform. */
export function isRelativeName(name: string): boolean {
  const parts = name.split("/");
  return parts.every((part) => part !== "" && part !== "." && part !== "..") && !/[\\:\0]/.test(name);
}

/** A buffer of its own. Throws file_unreadable where the runtime cannot hold so much in one piece. */
export function allocate(bytes: number, file: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch (error) {
    throw unreadable(
      file,
      `cannot be read: this runtime has no ${bytes} bytes of memory in one piece`,
      error,
    );
  }
}

function opener(source: Source, signal?: AbortSignal): (name: string) => Promise<RangedFile> {
  return async (name) => {
    if (typeof source !== "string" && !(source instanceof URL)) {
      const content = contentNamed(source, name);
      if (content === undefined) throw missing(name, "the given files");
      return openContent(content, name, signal);
    }
    const folder = located(source);
    if (typeof folder === "string") return openLocal(`${folder}/${name}`, `${folder}/${name}`, signal);
    const url = inFolder(folder, name);
    return url.protocol === "file:"
      ? openLocal(url, shown(url), signal)
      : openRemote(url, shown(url), signal);
  };
}

function contentNamed(
  source: ReadonlyMap<string, FileContent> | Readonly<Record<string, FileContent>>,
  name: string,
): FileContent | undefined {
  if (source instanceof Map) return source.get(name);
  return Object.hasOwn(source, name) ? (source as Readonly<Record<string, FileContent>>)[name] : undefined;
}

/** A path stays a string where there is a file system; everything else is a URL. */
function located(source: string | URL): string | URL {
  if (source instanceof URL) return source;
  if (hasFileSystem && !isUrl(source)) return source;
  const base = hasFileSystem ? undefined : location.href;
  if (!URL.canParse(source, base)) throw unreadable(quote(source), "is not a valid URL");
  return new URL(source, base);
}

/** Whether a text is a whole URL; a path of Windows begins with a letter and a colon, too. */
export function isUrl(source: string): boolean {
  return /^(https?|file):/i.test(source);
}

function inFolder(folder: URL, name: string): URL {
  const base = new URL(folder);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return new URL(name.split("/").map(encodeURIComponent).join("/"), base);
}

/** Without query, fragment and credentials: those may be secrets. */
function shown(url: URL): string {
  return url.protocol === "file:" ? url.pathname : `${url.origin}${url.pathname}`;
}

/** What the three kinds of files have in common: a name, bounds, an end, and no short answers. */
function ranged(
  name: string,
  size: number,
  signal: AbortSignal | undefined,
  readRange: (start: number, end: number) => Promise<Uint8Array<ArrayBuffer>>,
  release: () => Promise<void> = async () => {},
): RangedFile {
  let open = true;
  return {
    name,
    size,
    async read(start, end) {
      signal?.throwIfAborted();
      if (!open) throw new Florence2Error("disposed", `${name} was closed.`, { file: name });
      if (!(0 <= start && start <= end && end <= size)) {
        throw unreadable(name, `has ${size} bytes; bytes ${start} to ${end} were asked for`);
      }
      if (start === end) return new Uint8Array(0);
      const bytes = await readRange(start, end);
      if (bytes.length !== end - start) {
        throw unreadable(
          name,
          `ended while it was read: ${bytes.length} bytes at ${start} instead of ${end - start}`,
        );
      }
      return bytes;
    },
    async close() {
      if (!open) return;
      open = false;
      await release();
    },
  };
}

function openContent(content: FileContent, name: string, signal?: AbortSignal): RangedFile {
  if (content instanceof Blob) {
    return ranged(name, content.size, signal, async (start, end) => {
      try {
        return new Uint8Array(await content.slice(start, end).arrayBuffer());
      } catch (error) {
        throw unreadable(name, "cannot be read any more", error);
      }
    });
  }
  const bytes = viewBytes(content, name);
  const size = bytes.length;
  return ranged(name, size, signal, async (start, end) => {
    // A buffer that was transferred meanwhile has no bytes left.
    const piece = bytes.length === size ? bytes.subarray(start, end) : new Uint8Array(0);
    const copy = allocate(piece.length, name);
    copy.set(piece);
    return copy;
  });
}

function viewBytes(content: Uint8Array | ArrayBuffer, name: string): Uint8Array {
  if (content instanceof Uint8Array) return content;
  if (!(content instanceof ArrayBuffer))
    throw unreadable(name, "is neither a Blob nor a Uint8Array nor an ArrayBuffer");
  try {
    return new Uint8Array(content);
  } catch (error) {
    throw unreadable(name, "is a buffer that was transferred away", error);
  }
}

async function openLocal(path: string | URL, name: string, signal?: AbortSignal): Promise<RangedFile> {
  signal?.throwIfAborted();
  const { open, stat } = await fileSystem();
  const failed = (error: unknown): never => {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") throw missing(name, "the file system", error);
    throw unreadable(name, `cannot be read (${code ?? error})`, error);
  };
  // Asked before opening: opening a pipe would wait for a writer, and a device may never end.
  const found = await stat(path).catch(failed);
  if (!found.isFile()) throw unreadable(name, "is not a regular file");
  const handle = await open(path, "r").catch(failed);
  const readRange = async (start: number, end: number) => {
    const now = await handle.stat().catch(failed);
    if (now.size !== found.size || now.mtimeMs !== found.mtimeMs) {
      throw unreadable(name, `changed while it was read (${found.size} bytes before, ${now.size} now)`);
    }
    const bytes = allocate(end - start, name);
    let filled = 0;
    while (filled < bytes.length) {
      signal?.throwIfAborted();
      const wanted = Math.min(CHUNK_BYTES, bytes.length - filled);
      const { bytesRead } = await handle.read(bytes, filled, wanted, start + filled).catch(failed);
      if (bytesRead === 0) return bytes.subarray(0, filled);
      filled += bytesRead;
    }
    return bytes;
  };
  return ranged(name, found.size, signal, readRange, () => handle.close());
}

/**
 * Reads a file with HTTP range requests (RFC 9110, section 14). A server that does not know them answers
 * the first one with the whole file; that answer is then kept as a Blob instead of being asked for again.
 */
async function openRemote(url: URL, name: string, signal?: AbortSignal): Promise<RangedFile> {
  const ask = async (start: number, end: number): Promise<Response> => {
    try {
      return await fetch(url, { headers: { Range: `bytes=${start}-${end - 1}` }, signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw unreadable(name, "cannot be fetched", error);
    }
  };
  // Two bytes, since some servers (sirv, which `vite preview` uses) take an end of 0 for none.
  const first = await ask(0, 2);
  if (first.status === 200) {
    const whole = await first.blob().catch((error: unknown) => {
      signal?.throwIfAborted();
      throw unreadable(name, "broke off while it was fetched", error);
    });
    return openContent(whole, name, signal);
  }
  await first.body?.cancel();
  if (first.status === 404 || first.status === 410) throw missing(name, "the server");
  const size = Number(
    /^bytes (?:0-[01]|\*)\/(\d+)$/.exec(first.headers.get("content-range") ?? "")?.[1] ?? Number.NaN,
  );
  if (!(first.status === 206 || (first.status === 416 && size === 0))) {
    throw unreadable(name, `cannot be fetched: the server answered with status ${first.status}`);
  }
  if (!Number.isSafeInteger(size)) {
    throw unreadable(name, "cannot be read in ranges: the server does not show its size in Content-Range");
  }
  return ranged(name, size, signal, async (start, end) => {
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
    return await received(response, end - start, name, signal);
  });
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
      if (!chunk) return bytes.subarray(0, filled);
      bytes.set(chunk, filled); // throws where the chunk reaches beyond the end
      filled += chunk.length;
    }
  } catch (error) {
    await reader?.cancel().catch(() => {});
    signal?.throwIfAborted();
    throw unreadable(name, `broke off while it was fetched, after ${filled} of ${length} bytes`, error);
  }
}

function missing(file: string, place: string, cause?: unknown): Florence2Error {
  return new Florence2Error("file_not_found", `${file} does not exist in ${place}.`, { file }, cause);
}

function unreadable(file: string, problem: string, cause?: unknown): Florence2Error {
  return new Florence2Error("file_unreadable", `${file} ${problem}.`, { file }, cause);
}
