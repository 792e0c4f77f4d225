import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import { Florence2Error } from "../../core/errors.ts";

/** An image file below the folder that names count from. */
export interface ImageFile {
  /** Path from the folder, with "/". */
  readonly file: string;
  readonly path: string;
  readonly bytes: number;
}

export interface FindOptions {
  /** Looks into folders of the folder too. */
  readonly recursive?: boolean;
  /** A file with one path a line, from the folder; nothing else is taken then. */
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
 * folders are passed over.
 *
 * @throws {Florence2Error} `file_not_found` if the folder or a listed file is missing; `option_invalid` if there is
 *   no image at all
 */
export function findImages(
  folder: string,
  { recursive = false, list, glob, without }: FindOptions = {},
): ImageFile[] {
  if (!existsSync(folder)) throw missing(folder, "folder");
  const isFile = statSync(folder).isFile();
  const root = isFile ? resolve(folder, "..") : folder;
  const names = isFile
    ? [relative(root, resolve(folder))]
    : list
      ? listed(list, root)
      : walk(root, "", recursive, without === undefined ? undefined : resolve(without));
  const images = names
    .map((name) => name.split(sep).join("/"))
    .filter((file) => list || isFile || (IMAGE.test(file) && !NO_IMAGE.test(file)))
    .filter((file) => !glob || matches(file, glob))
    .sort()
    .map((file) => ({ file, path: join(root, file), bytes: statSync(join(root, file)).size }));
  if (images.length > 0) return images;
  const hint = recursive ? "" : " --recursive looks into its folders too.";
  throw new Florence2Error(
    "option_invalid",
    `${folder} has no image${glob ? ` that fits ${glob}` : ""}.${hint}`,
    {
      folder,
      glob,
    },
  );
}

/** The folder that the names of images count from: of a single image, the one that it is in. */
export function rootOf(folder: string): string {
  return existsSync(folder) && statSync(folder).isFile() ? resolve(folder, "..") : folder;
}

function walk(root: string, below: string, recursive: boolean, without?: string): string[] {
  return readdirSync(join(root, below), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name.startsWith(".")) return [];
    const path = below ? `${below}/${entry.name}` : entry.name;
    if (entry.isDirectory()) {
      const isTaken = recursive && resolve(root, path) !== without;
      return isTaken ? walk(root, path, recursive, without) : [];
    }
    const isFile = entry.isFile() || (entry.isSymbolicLink() && isRegular(join(root, path)));
    return isFile ? [path] : [];
  });
}

function isRegular(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function listed(list: string, root: string): string[] {
  if (!existsSync(list)) throw missing(list, "file");
  const names = readFileSync(list, "utf8")
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter(Boolean);
  for (const name of names) if (!existsSync(join(root, name))) throw missing(join(root, name), "image");
  return [...new Set(names)];
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

function missing(path: string, what: string): Florence2Error {
  return new Florence2Error("file_not_found", `The ${what} ${path} is missing.`, { path });
}
