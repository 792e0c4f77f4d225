import { readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { isAbsolute, join, normalize, relative, resolve, sep } from "node:path";
import { Florence2Error } from "../../core/errors.ts";
import { writtenInto } from "./write_files.ts";

/** An image file below the folder that names count from. */
export interface ImageFile {
  /** Path from the folder, with "/". */
  readonly file: string;
  readonly path: string;
  readonly bytes: number;
  /** When it was written, in milliseconds since 1970. */
  readonly modified: number;
}

/** A file or folder that cannot be looked at. */
export interface Unreadable {
  /** Path from the folder, with "/". */
  readonly file: string;
  readonly error: Florence2Error;
}

export interface FoundImages {
  readonly images: readonly ImageFile[];
  readonly unreadable: readonly Unreadable[];
}

export interface FindOptions {
  /** Looks into folders of the folder too. */
  readonly recursive?: boolean;
  /** A file with one path a line, from the folder or whole; nothing else is taken then. */
  readonly list?: string;
  /** Takes only files whose path from the folder fits: `*.jpg`, `cats/**`. */
  readonly glob?: string;
  /** A folder that is passed over, such as the one that copies of the images go to. */
  readonly without?: string;
}

const IMAGE = /\.(avif|bmp|gif|jpe?g|jfif|png|tiff?|webp)$/i;
/** Masks that trainers keep beside images. */
const NO_IMAGE = /-masklabel\.png$/i;

/**
 * The images of a folder by their paths, in the order of code units, the same on every machine. Hidden files and
 * folders are passed over, and files that earlier runs have written there. Links to folders are not followed.
 *
 * @throws {Florence2Error} `file_not_found` if the folder or the list is missing; `option_invalid` if there is no
 *   image at all, or a listed one lies outside of the folder
 */
export function findImages(
  folder: string,
  { recursive = false, list, glob, without }: FindOptions = {},
): FoundImages {
  const kind = kindOf(folder);
  if (kind === undefined) throw missing(folder, "folder");
  if (kind === "other") {
    throw new Florence2Error("option_invalid", `${folder} is neither a folder nor a file.`, { folder });
  }
  const isFile = kind === "file";
  const root = isFile ? resolve(folder, "..") : folder;
  const unreadable: Unreadable[] = [];
  const names = isFile
    ? [relative(root, resolve(folder))]
    : list !== undefined
      ? listed(list, root)
      : [...new Walk(root, recursive, without, unreadable).files("")];
  const images = names
    .map((name) => name.split(sep).join("/"))
    .filter((file) => list || isFile || (IMAGE.test(file) && !NO_IMAGE.test(file)))
    .filter((file) => !glob || matches(file, glob))
    .sort()
    .flatMap((file): ImageFile[] => {
      const path = join(root, file);
      try {
        const found = statSync(path);
        // Runtimes give more or fewer digits after the point.
        if (found.isFile()) return [{ file, path, bytes: found.size, modified: Math.floor(found.mtimeMs) }];
        unreadable.push({ file, error: unreadableError(path, "it is no regular file") });
      } catch (error) {
        unreadable.push({ file, error: errorOf(path, error) });
      }
      return [];
    });
  if (images.length + unreadable.length > 0) return { images, unreadable };
  const hint = recursive ? "" : " --recursive looks into its folders too.";
  const message = `${folder} has no image${glob ? ` that fits ${glob}` : ""}.${hint}`;
  throw new Florence2Error("option_invalid", message, { folder, glob });
}

/** The folder that the names of images count from: of a single image, the one that it is in. */
export function rootOf(folder: string): string {
  return kindOf(folder) === "file" ? resolve(folder, "..") : folder;
}

function kindOf(path: string): "file" | "folder" | "other" | undefined {
  try {
    const found = statSync(path);
    return found.isFile() ? "file" : found.isDirectory() ? "folder" : "other";
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return undefined;
    throw errorOf(path, error);
  }
}

/** Looks through a folder; what cannot be read is noted. */
class Walk {
  readonly #root: string;
  readonly #recursive: boolean;
  readonly #without: string | undefined;
  readonly #unreadable: Unreadable[];
  /** Paths of what earlier runs made. */
  readonly #written = new Set<string>();

  constructor(root: string, recursive: boolean, without: string | undefined, unreadable: Unreadable[]) {
    this.#root = root;
    this.#recursive = recursive;
    this.#without = without && realPathOf(without);
    this.#unreadable = unreadable;
  }

  *files(below: string): Generator<string> {
    const folder = join(this.#root, below);
    for (const entry of this.#entriesOf(folder, below)) {
      const path = join(folder, entry.name);
      const name = below ? `${below}/${entry.name}` : entry.name;
      if (entry.name.startsWith(".") || this.#written.has(path)) continue;
      if (entry.isDirectory()) {
        if (this.#recursive && realPathOf(path) !== this.#without) yield* this.files(name);
      } else if (entry.isFile() || (entry.isSymbolicLink() && isRegular(path))) yield name;
    }
  }

  #entriesOf(folder: string, below: string) {
    try {
      for (const name of writtenInto(folder)) this.#written.add(join(folder, name));
      return readdirSync(folder, { withFileTypes: true });
    } catch (error) {
      if (below === "") throw errorOf(folder, error);
      this.#unreadable.push({ file: below, error: errorOf(folder, error) });
      return [];
    }
  }
}

function isRegular(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

function listed(list: string, root: string): string[] {
  let content: string;
  try {
    content = readFileSync(list, "utf8");
  } catch (error) {
    throw codeOf(error) === "ENOENT" ? missing(list, "file") : errorOf(list, error);
  }
  const names = content
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter(Boolean);
  return [...new Set(names.map((name) => insideOf(root, name, list)))];
}

/** A listed path from the folder; what is written about an image goes to the same place below --out. */
function insideOf(root: string, name: string, list: string): string {
  const file = isAbsolute(name) ? relative(resolve(root), name) : normalize(name);
  if (!isAbsolute(file) && !/^\.\.([/\\]|$)/.test(file)) return file;
  const message = `${list} names ${name}, which lies outside of ${root}; name a folder that all images are in.`;
  throw new Florence2Error("option_invalid", message, { list, name });
}

/** A pattern without "/" is one of names. */
function matches(file: string, glob: string): boolean {
  return patternOf(glob).test(glob.includes("/") ? file : file.slice(file.lastIndexOf("/") + 1));
}

function patternOf(glob: string): RegExp {
  const pattern = glob.replaceAll(/\*\*\/?|[*?]|[.+^${}()|[\]\\]/g, (part) => {
    if (part.startsWith("**")) return ".*";
    return { "*": "[^/]*", "?": "[^/]" }[part] ?? `\\${part}`;
  });
  return new RegExp(`^${pattern}$`, "i");
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code;

function missing(path: string, what: string): Florence2Error {
  return new Florence2Error("file_not_found", `The ${what} ${path} is missing.`, { path });
}

function errorOf(path: string, error: unknown): Florence2Error {
  if (error instanceof Florence2Error) return error;
  const code = codeOf(error);
  if (code === "ENOENT") return missing(path, "file");
  const reason = code === "EACCES" || code === "EPERM" ? "no permission" : (code ?? String(error));
  return unreadableError(path, reason, error);
}

function unreadableError(path: string, reason: string, cause?: unknown): Florence2Error {
  return new Florence2Error("file_unreadable", `${path} cannot be read: ${reason}.`, { path }, cause);
}
