import {
  appendFileSync,
  existsSync,
  linkSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { copyFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { Florence2Error } from "../../core/errors.ts";
import type { OutputFile } from "../../datasets/formats/format.ts";
import { makeFolder } from "../../files/make_folder.ts";
import { loadSharp } from "../../model/image/sharp.ts";
import { discard, partOf, readIfThere, replaceFile, unwritable } from "./replace_file.ts";

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

/** The list of the files that commands have written into a folder, a path in JSON a line. */
const WRITTEN = ".florence2-files.jsonl";

/**
 * Writes files below a folder, each whole or not at all. Files of an earlier call, which are not among them, are
 * removed: a data set has no labels of images that left it.
 */
export class FolderWriter {
  readonly #folder: string;
  readonly #list: string;
  readonly #earlier: ReadonlySet<string>;
  readonly #written = new Set<string>();

  constructor(folder: string) {
    this.#folder = folder;
    this.#list = join(folder, WRITTEN);
    this.#earlier = writtenInto(folder);
  }

  /**
   * Writes files.
   *
   * @param below a folder in the folder, for all of them; "" for none
   * @throws {Florence2Error} `file_unwritable`
   */
  async write(
    below: string,
    files: Iterable<OutputFile> | AsyncIterable<OutputFile>,
    placing: ImagePlacing,
  ): Promise<void> {
    for await (const { path, content } of files) {
      const name = below === "" ? path : `${below}/${path}`;
      const target = join(this.#folder, name);
      // Listed before it is there: what a stop leaves is known to the next run.
      if (!this.#earlier.has(name)) this.#add(name);
      if (content instanceof Uint8Array) replaceFile(target, [content]);
      else if ("image" in content) await placeImage(placing, content.image, target);
      else replaceFile(target, content);
      this.#written.add(name);
    }
  }

  /** Removes what earlier calls wrote and this one did not. @returns how many files there are now */
  finish(): number {
    for (const name of this.#earlier) if (!this.#written.has(name)) this.#remove(name);
    replaceFile(
      this.#list,
      [...this.#written].sort().map((name) => `${JSON.stringify(name)}\n`),
    );
    return this.#written.size;
  }

  #add(name: string): void {
    try {
      makeFolder(this.#folder);
      appendFileSync(this.#list, `${JSON.stringify(name)}\n`);
    } catch (error) {
      throw unwritable(this.#list, error);
    }
  }

  #remove(name: string): void {
    const path = join(this.#folder, name);
    for (const own of [path, partOf(path)]) discard(own);
    try {
      for (let above = dirname(name); above !== "."; above = dirname(above)) {
        rmdirSync(join(this.#folder, above));
      }
    } catch {
      // Something is left in it.
    }
  }
}

/**
 * The files that commands have written into a folder, by their paths from it: none of them is an image to look at. A
 * line that a stop has cut off, and a path that leads outside, count for nothing.
 */
export function writtenInto(folder: string): Set<string> {
  const lines = readIfThere(join(folder, WRITTEN))?.split("\n") ?? [];
  return new Set(lines.flatMap(nameIn));
}

function nameIn(line: string): string[] {
  try {
    const name: unknown = JSON.parse(line);
    const isInside =
      typeof name === "string" && name !== "" && !/^([/\\]|\w:)|(^|[/\\])\.\.([/\\]|$)/.test(name);
    return isInside ? [name] : [];
  } catch {
    return [];
  }
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
  const part = partOf(target);
  try {
    makeFolder(dirname(target));
    expectApart(target, path);
    rmSync(part, { force: true });
    if (placement === "symlink")
      symlinkSync(relative(realpathSync(dirname(target)), realpathSync(path)), part);
    else if (placement === "hardlink") linkSync(path, part);
    else if (bake && orientation !== 1) writeFileSync(part, await upright(path));
    else await copyFile(path, part);
    renameSync(part, target);
    // Where both are links to one file already, renaming leaves both.
    discard(part);
  } catch (error) {
    discard(part);
    throw unwritable(target, error);
  }
}

/** A copy never takes the place of its image. */
function expectApart(target: string, image: string): void {
  if (join(realpathSync(dirname(target)), basename(target)) !== realpathSync(image)) return;
  const message = `The copy of ${image} would take its place. Choose another folder with --out, or --in-place.`;
  throw new Florence2Error("option_invalid", message, { image });
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
