import { type ErrorCode, Florence2Error, quote } from "../core/errors.ts";
import { hasFileSystem } from "../core/platform.ts";
import { type JsonValue, parseJson } from "./json.ts";
import { openLocal } from "./local_file.ts";
import { type FileContent, missing, openContent, type RangedFile, unreadable } from "./ranged_file.ts";
import { isBlob, isMap, isUrlObject } from "./realms.ts";
import { openRemote } from "./remote_file.ts";
import { shownUrl } from "./web_request.ts";

export type { FileContent, RangedFile } from "./ranged_file.ts";

/** The place of a model's files: a folder (path, file: or http(s): URL), or the files by name. */
export type Source = string | URL | ReadonlyMap<string, FileContent> | Readonly<Record<string, FileContent>>;

/** One file: a path, a file: or http(s): URL, or its content. */
export type FileSource = string | URL | FileContent;

export interface OpenOptions {
  /** Stops opening and every later read; they reject with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Asks servers, for proxies and tests. Default: the global `fetch`. */
  readonly fetch?: typeof fetch | undefined;
}

/** The files of a model, wherever they are. Names are relative, with "/" between folders. */
export interface Files {
  has(name: string): Promise<boolean>;
  /** The file as UTF-8 text, without a byte order mark. Throws file_not_found or file_unreadable. */
  text(name: string): Promise<string>;
  /** The file as JSON, read strictly (files/json.ts). Throws what `text` throws, and `code` if it is no JSON. */
  json(name: string, code?: ErrorCode): Promise<JsonValue>;
  /** Like `text`, but undefined where there is no such file. */
  optionalText(name: string): Promise<string | undefined>;
  /** Like `json`, but undefined where there is no such file. */
  optionalJson(name: string, code?: ErrorCode): Promise<JsonValue | undefined>;
  open(name: string): Promise<RangedFile>;
}

/** A tokenizer.json has 4 MB; something much larger is not a text file of a model. */
const MAX_TEXT_BYTES = 64 * 2 ** 20;

export function openFiles(source: Source, options: OpenOptions = {}): Files {
  return filesOver(opener(source, options));
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
      throw (error as Error).name === "TypeError" ? unreadable(file.name, "is not UTF-8 text", error) : error;
    } finally {
      await file.close();
    }
  };
  const json = async (name: string, code: ErrorCode = "config_invalid") =>
    parseJson(await text(name), name, code);
  return {
    open,
    text,
    json,
    optionalText: (name) => text(name).catch(undefinedIfMissing),
    optionalJson: (name, code) => json(name, code).catch(undefinedIfMissing),
    async has(name) {
      const file = await open(name).catch(undefinedIfMissing);
      await file?.close();
      return file !== undefined;
    },
  };
}

/** The files of a folder within others. */
export function filesInFolder(files: Files, folder: string): Files {
  return filesOver((name) => files.open(`${folder}/${name}`));
}

function undefinedIfMissing(error: unknown): undefined {
  if (error instanceof Florence2Error && error.code === "file_not_found") return undefined;
  throw error;
}

/** Opens one file for reading in ranges. Throws file_not_found or file_unreadable. */
export async function openFile(source: FileSource, options: OpenOptions = {}): Promise<RangedFile> {
  if (typeof source !== "string" && !isUrlObject(source)) {
    const name = isBlob(source) && "name" in source ? String(source.name) : "the given file";
    return openContent(source, name, options.signal);
  }
  const place = located(source);
  return typeof place !== "string" && place.protocol !== "file:"
    ? openRemote(place, shownUrl(place), options)
    : openLocal(place, String(source), options.signal);
}

/** Whether a name stays inside the folder that it is looked up in, on every platform. */
export function isRelativeName(name: string): boolean {
  const parts = name.split("/");
  return parts.every((part) => part !== "" && part !== "." && part !== "..") && !/[\\:\0]/.test(name);
}

function opener(source: Source, options: OpenOptions): (name: string) => Promise<RangedFile> {
  const { signal } = options;
  return async (name) => {
    if (typeof source !== "string" && !isUrlObject(source)) {
      const content = contentNamed(source, name);
      if (content === undefined) throw missing(name, "the given files");
      return openContent(content, name, signal);
    }
    const folder = located(source);
    if (typeof folder === "string") return openLocal(`${folder}/${name}`, `${folder}/${name}`, signal);
    const url = inFolder(folder, name);
    return url.protocol === "file:"
      ? openLocal(url, shownUrl(url), signal)
      : openRemote(url, shownUrl(url), options);
  };
}

function contentNamed(
  source: ReadonlyMap<string, FileContent> | Readonly<Record<string, FileContent>>,
  name: string,
): FileContent | undefined {
  if (isMap(source)) return (source as ReadonlyMap<string, FileContent>).get(name);
  return Object.hasOwn(source, name) ? source[name] : undefined;
}

/** A path stays a string where there is a file system; everything else is a URL. */
function located(source: string | URL): string | URL {
  if (isUrlObject(source)) return source;
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
