import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { copyFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { Florence2Error } from "../../core/errors.ts";
import type { OutputFile } from "../../datasets/formats/format.ts";
import { loadSharp } from "../../model/image/sharp.ts";

export const PLACEMENTS = ["copy", "symlink", "hardlink", "in-place"] as const;
/** How images come into a data set; `in-place`: not at all. */
export type Placement = (typeof PLACEMENTS)[number];

export interface ImagePlacing {
  readonly placement: Placement;
  /** Writes copies of images that EXIF turns upright, so that programs which ignore EXIF see the same. */
  readonly bake: boolean;
  /** Path and EXIF orientation of an image by its name. */
  find(file: string): { readonly path: string; readonly orientation?: number };
}

/**
 * Writes files below a folder, each whole or not at all.
 *
 * @returns how many
 * @throws {Florence2Error} `file_unreadable` if the folder cannot be written
 */
export async function writeFiles(
  folder: string,
  files: Iterable<OutputFile> | AsyncIterable<OutputFile>,
  placing?: ImagePlacing,
): Promise<number> {
  let count = 0;
  for await (const { path, content } of files) {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true });
    if (content instanceof Uint8Array) replaceFile(target, [content]);
    else if ("image" in content) await placeImage(placing!, content.image, target);
    else replaceFile(target, content);
    count++;
  }
  return count;
}

/** Writes a file under another name first: what is at the path is the old content or all of the new. */
export function replaceFile(path: string, pieces: Iterable<string | Uint8Array>): void {
  const part = `${path}.part`;
  mkdirSync(dirname(path), { recursive: true });
  const fd = openSync(part, "w");
  try {
    for (const piece of buffered(pieces)) writeSync(fd, piece);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(part, path);
}

/** Small pieces together, so that each line of a large file is no call of its own. */
function* buffered(pieces: Iterable<string | Uint8Array>): Generator<Uint8Array> {
  const BLOCK = 1 << 16;
  let pending: Buffer[] = [];
  let size = 0;
  for (const piece of pieces) {
    const bytes = Buffer.from(piece as string);
    pending.push(bytes);
    size += bytes.length;
    if (size < BLOCK) continue;
    yield Buffer.concat(pending);
    [pending, size] = [[], 0];
  }
  yield Buffer.concat(pending);
}

async function placeImage(
  { placement, bake, find }: ImagePlacing,
  file: string,
  target: string,
): Promise<void> {
  const { path, orientation = 1 } = find(file);
  if (!existsSync(path)) {
    const message = `The image ${path} is missing. Name the folder of the images with --images, or leave them out with --in-place.`;
    throw new Florence2Error("file_not_found", message, { path });
  }
  const part = `${target}.part`;
  rmSync(part, { force: true });
  if (placement === "symlink") symlinkSync(relative(resolve(dirname(target)), resolve(path)), part);
  else if (placement === "hardlink") linkSync(path, part);
  else if (bake && orientation !== 1) writeFileSync(part, await upright(path));
  else await copyFile(path, part);
  renameSync(part, target);
}

/** The image stored as it is seen, in its own format. JPEG is coded anew, as nearly as that can be. */
async function upright(path: string): Promise<Uint8Array> {
  const sharp = await loadSharp();
  const image = sharp(path).autoOrient();
  const { format } = await sharp(path).metadata();
  return format === "jpeg"
    ? image.jpeg({ quality: 95, chromaSubsampling: "4:4:4" }).toBuffer()
    : image.toBuffer();
}

/** The text of a file, or undefined if there is none. */
export function readIfThere(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

/** Refuses a folder that cannot be made or written, before anything is computed. */
export function expectWritable(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    const probe = join(folder, `.florence2-${process.pid}`);
    writeFileSync(probe, "");
    rmSync(probe);
  } catch (error) {
    const message = `${folder} cannot be written: ${(error as Error).message}`;
    throw new Florence2Error("file_unreadable", message, { folder }, error);
  }
}
