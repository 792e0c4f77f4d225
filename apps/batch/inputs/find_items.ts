/** The inputs of `plan` as a list of images. */
import { readdir, stat } from "node:fs/promises";
import { extname, join, resolve } from "node:path";
import { Florence2Error } from "florence2-webgpu";
import type { Item } from "../plan/plan.ts";
import { openStorage } from "../storage/storage.ts";
import { LIST_ENDINGS, readList } from "./list.ts";
import { readTar } from "./tar.ts";

export interface FindOptions {
  /** Looks into folders of folders too. */
  readonly recursive?: boolean;
  /** The column of a list that has the image. */
  readonly column?: string;
}

/** Signs by which a path that is no file is a pattern. */
const PATTERN = /[*?[{]/;
const IMAGE = /\.(avif|bmp|gif|jpe?g|jfif|png|tiff?|webp)$/i;

/**
 * The images of folders, patterns (`photos/**\/*.jpg`), lists, tar files, prefixes of a bucket, and single files. The
 * key of an image is its path from the folder that was named, or its name in the list or tar file.
 *
 * @throws {Florence2Error} `file_not_found`; `option_invalid` if there is no image at all
 */
export async function findItems(inputs: readonly string[], options: FindOptions = {}): Promise<Item[]> {
  const items: Item[] = [];
  for (const input of inputs) {
    const found = await findIn(input, options);
    if (found.length === 0) {
      const isFolder = (await stat(input).catch(() => undefined))?.isDirectory();
      const hint = isFolder && !options.recursive ? " --recursive looks into its folders too." : "";
      throw new Florence2Error("option_invalid", `${input} has no image.${hint}`, { input });
    }
    for (const item of found) items.push(item);
  }
  return items;
}

async function findIn(input: string, { recursive = false, column }: FindOptions): Promise<Item[]> {
  if (/^https?:/i.test(input)) return [{ key: input, url: input }];
  if (input.startsWith("s3://")) return findInBucket(input);
  const stats = await stat(input).catch(() => undefined);
  if (stats?.isDirectory()) return walk(resolve(input), "", recursive, (file) => IMAGE.test(file));
  if (!stats && PATTERN.test(input)) return findByPattern(input);
  if (!stats) throw new Florence2Error("file_not_found", `${input} is missing.`, { input });
  const ending = extname(input).toLowerCase();
  if (LIST_ENDINGS.includes(ending)) return readList(input, column);
  if (/\.tar(\.\w+)?$|\.tgz$/i.test(input)) return findInTar(input);
  return [{ key: input, url: resolve(input), size: stats.size }];
}

async function walk(
  root: string,
  below: string,
  recursive: boolean,
  fits: (file: string) => boolean,
): Promise<Item[]> {
  const items: Item[] = [];
  const entries = await readdir(join(root, below), { withFileTypes: true }).catch((error: unknown) => {
    const folder = join(root, below);
    const message = `${folder} cannot be read: ${(error as Error).message}.`;
    throw new Florence2Error("file_unreadable", message, { folder }, error);
  });
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    const file = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) {
      if (recursive) items.push(...(await walk(root, file, recursive, fits)));
    } else if (fits(file)) {
      const url = join(root, file);
      const stats = await stat(url).catch(() => undefined);
      // A link to nothing has a row, with an error: no image is lost.
      if (!stats) items.push({ key: file, url });
      else if (stats.isFile()) items.push({ key: file, url, size: stats.size });
    }
  }
  return items;
}

/** Below the last folder without a sign of a pattern. */
async function findByPattern(pattern: string): Promise<Item[]> {
  const steps = pattern.split(/[\\/]/);
  const first = steps.findIndex((step) => PATTERN.test(step));
  const root = steps.slice(0, first).join("/") || (pattern.startsWith("/") ? "/" : ".");
  const rest = steps.slice(first).join("/");
  const fits = new RegExp(`^${expressionOf(rest)}$`, "i");
  if (!(await stat(root).catch(() => undefined)))
    throw new Florence2Error("file_not_found", `The folder ${root} of ${pattern} is missing.`, { pattern });
  return walk(resolve(root), "", rest.includes("/") || rest.includes("**"), (file) => fits.test(file));
}

/** `expressionOf("*.{jpg,png}")` → `[^/]*\\.(?:jpg|png)`; `**` crosses folders, `[ab]` is one of its characters. */
function expressionOf(pattern: string): string {
  const part = /\*\*\/?|[*?]|\[[^\]/]+\]|\{[^{}]+\}|[.+^${}()|[\]\\]/g;
  return pattern.replaceAll(part, (found) => {
    if (found.startsWith("**")) return ".*";
    if (found.startsWith("{") && found.length > 1)
      return `(?:${found.slice(1, -1).split(",").map(expressionOf).join("|")})`;
    if (found.startsWith("[") && found.length > 1)
      return `[${found.slice(1, -1).replace(/^!/, "^").replaceAll(/[\\[]/g, "\\$&")}]`;
    return { "*": "[^/]*", "?": "[^/]" }[found] ?? `\\${found}`;
  });
}

async function findInTar(path: string): Promise<Item[]> {
  const items: Item[] = [];
  const name = path.split(/[\\/]/).at(-1)!;
  for await (const { name: file, offset, size } of readTar(path)) {
    const url = `tar://${resolve(path)}#${offset}+${size}`;
    if (IMAGE.test(file)) items.push({ key: `${name}/${file}`, url, size });
  }
  return items;
}

async function findInBucket(url: string): Promise<Item[]> {
  const files = await openStorage(url).list("");
  const base = url.replace(/\/+$/, "");
  return files
    .filter(({ name }) => IMAGE.test(name))
    .map(({ name, bytes }) => ({ key: name, url: `${base}/${name}`, size: bytes }));
}
