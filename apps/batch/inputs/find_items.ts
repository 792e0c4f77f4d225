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
      const hint = options.recursive ? "" : " --recursive looks into its folders too.";
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
  if (!stats && /[*?]/.test(input)) return findByPattern(input);
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
  for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
    if (entry.name.startsWith(".")) continue;
    const file = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) {
      if (recursive) items.push(...(await walk(root, file, recursive, fits)));
    } else if (fits(file)) {
      const url = join(root, file);
      const stats = await stat(url).catch(() => undefined);
      if (stats?.isFile()) items.push({ key: file, url, size: stats.size });
    }
  }
  return items;
}

/** Below the last folder without a sign of a pattern; `**` crosses folders. */
async function findByPattern(pattern: string): Promise<Item[]> {
  const steps = pattern.split(/[\\/]/);
  const first = steps.findIndex((step) => /[*?]/.test(step));
  const root = steps.slice(0, first).join("/") || (pattern.startsWith("/") ? "/" : ".");
  const rest = steps.slice(first).join("/");
  const parts = rest.replaceAll(/\*\*\/?|[*?]|[.+^${}()|[\]\\]/g, (part) => {
    if (part.startsWith("**")) return ".*";
    return { "*": "[^/]*", "?": "[^/]" }[part] ?? `\\${part}`;
  });
  const fits = new RegExp(`^${parts}$`, "i");
  if (!(await stat(root).catch(() => undefined)))
    throw new Florence2Error("file_not_found", `The folder ${root} of ${pattern} is missing.`, { pattern });
  return walk(resolve(root), "", rest.includes("/") || rest.includes("**"), (file) => fits.test(file));
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
