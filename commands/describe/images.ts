/** Which images the arguments name: files, folders, patterns, addresses, and `-` for stdin. */
import { readdirSync, statSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { Florence2Error, quote } from "../../core/errors.ts";

/** An image to be asked about. */
export interface NamedImage {
  /** As the answers show it. */
  readonly name: string;
  /** A path or an address; stdin is read once, when its turn comes. */
  readonly source: string;
}

const ADDRESS = /^(https?|file|data):/i;
const ENDINGS = new Set([".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"]);
const PATTERN = /[*?[\]]/;

/** Whether an argument looks like an image rather than a task: it exists, or has the form of a path or an address. */
export function looksLikeImage(argument: string): boolean {
  if (argument === "-" || ADDRESS.test(argument)) return true;
  if (statOf(argument) !== undefined || ENDINGS.has(extname(argument).toLowerCase())) return true;
  return !/[<>\s]/.test(argument) && (/[\\/]/.test(argument) || PATTERN.test(argument));
}

/**
 * The images that the arguments name, in their order; those of a folder or pattern by name.
 *
 * @throws {Florence2Error} file_not_found for what is not there, a folder without images, a pattern that nothing fits
 */
export function imagesNamed(args: readonly string[]): NamedImage[] {
  return args.flatMap((argument) => {
    if (argument === "-") return [{ name: "stdin", source: "-" }];
    if (ADDRESS.test(argument)) {
      const name = argument.startsWith("data:")
        ? "data"
        : argument.replace(/[?#].*$/s, "").replace(/\/\/[^/]*@/, "//");
      return [{ name, source: argument }];
    }
    const found = statOf(argument);
    if (found?.isDirectory()) return filesIn(argument);
    if (found) return [{ name: argument, source: argument }];
    if (PATTERN.test(argument)) return filesLike(argument);
    throw new Florence2Error("file_not_found", `${argument} does not exist.`, { file: argument });
  });
}

function filesIn(folder: string): NamedImage[] {
  const names = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && ENDINGS.has(extname(entry.name).toLowerCase()))
    .map((entry) => join(folder, entry.name));
  return asImages(names, `${folder} has no image.`);
}

/** Files whose paths a pattern fits: `*` and `?` within a name, `**` for any folders. */
function filesLike(pattern: string): NamedImage[] {
  const parts = pattern.split(/[\\/]/);
  const fixed = parts.slice(
    0,
    parts.findIndex((part) => PATTERN.test(part)),
  );
  const root = fixed.join("/") || (pattern.startsWith("/") ? "/" : ".");
  const isDeep = pattern.includes("**");
  const depth = parts.length - fixed.length;
  const expression = parts
    .slice(fixed.length)
    .map((part) => (part === "**" ? "(?:[^/]+/)*" : `${asExpression(part)}/`))
    .join("");
  const fits = new RegExp(`^${expression.replace(/\/$/, "")}$`);
  const found = walk(root, isDeep ? Number.POSITIVE_INFINITY : depth).filter((path) => fits.test(path));
  return asImages(
    found.map((path) => (root === "." && !pattern.startsWith("./") ? path : join(root, path))),
    `No file fits ${quote(pattern)}.`,
  );
}

/** Paths of files below a folder, at most so many names long. */
function walk(folder: string, depth: number): string[] {
  if (depth === 0) return [];
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory()
        ? walk(join(folder, entry.name), depth - 1).map((path) => `${entry.name}/${path}`)
        : [entry.name],
    );
  } catch {
    return [];
  }
}

function asExpression(part: string): string {
  const escaped = part.replace(/[.+^${}()|\\]/g, "\\$&");
  return escaped.replaceAll("*", "[^/]*").replaceAll("?", "[^/]").replace(/\[!/g, "[^");
}

function asImages(paths: readonly string[], problem: string): NamedImage[] {
  if (paths.length === 0) throw new Florence2Error("file_not_found", problem);
  return [...paths].sort().map((path) => ({ name: path, source: path }));
}

function statOf(path: string) {
  return statSync(path, { throwIfNoEntry: false });
}

/** The name of a file for what belongs to an image, without folder and ending: `photo` for `a/photo.jpg`. */
export function stemOf({ name }: NamedImage): string {
  const stem = basename(name, extname(name));
  return stem || basename(dirname(name)) || "image";
}
