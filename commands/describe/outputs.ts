/** Where annotated images go, checked before any work, and how they are written. */
import { accessSync, constants, existsSync, statSync, writeFileSync } from "node:fs";
import { dirname, extname, join, resolve } from "node:path";
import { Florence2Error } from "../../core/errors.ts";
import { drawAnswer, drawOnImage } from "../../draw/index.ts";
import { makeFolder } from "../../files/make_folder.ts";
import type { RgbImage } from "../../model/image/pixels.ts";
import { loadSharp } from "../../model/image/sharp.ts";
import type { Answer, Region } from "../../model/tasks/index.ts";
import { type NamedImage, stemOf } from "./images.ts";

const FORMATS = [".png", ".jpg", ".jpeg", ".webp", ".svg"];
/** Smaller images are enlarged to about this many pixels, so that labels on them can be read. */
const LEGIBLE = 600;

/** Where the annotated copy of an image goes; "-" is stdout. */
export type Targets = ReadonlyMap<NamedImage, string>;

/**
 * Finds the file for each image: `out` itself by its ending, or NAME.answer.png in it as a folder.
 *
 * @throws {Florence2Error} option_invalid where nothing can be written, or for a format that is none
 */
export function planOutputs(out: string | undefined, images: readonly NamedImage[]): Targets {
  if (out === undefined || out === "none") return new Map();
  const ending = extname(out).toLowerCase();
  const isFolder =
    /[\\/]$/.test(out) || ending === "" || statSync(out, { throwIfNoEntry: false })?.isDirectory();
  if (out === "-" || (!isFolder && images.length === 1)) {
    if (images.length > 1) throw refused(out, `is one file for ${images.length} images; give a folder`);
    if (out !== "-" && !FORMATS.includes(ending)) {
      throw refused(out, `ends in ${ending}; images are written as ${FORMATS.join(", ")}`);
    }
    if (out !== "-") expectWritable(out, dirname(resolve(out)));
    return new Map([[images[0]!, out]]);
  }
  if (!isFolder) throw refused(out, `is one file for ${images.length} images; give a folder`);
  expectWritable(out, nearestFolder(resolve(out)));
  const taken = new Set<string>();
  return new Map(
    images.map((image) => {
      let name = stemOf(image);
      for (let i = 2; taken.has(name); i++) name = `${stemOf(image)}-${i}`;
      taken.add(name);
      return [image, join(out, `${name}.answer.png`)];
    }),
  );
}

function nearestFolder(path: string): string {
  return existsSync(path) ? path : nearestFolder(dirname(path));
}

function expectWritable(out: string, folder: string): void {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw refused(out, `cannot be written: there is no folder ${folder}`);
  }
  try {
    accessSync(folder, constants.W_OK);
    if (existsSync(out)) accessSync(out, constants.W_OK);
  } catch {
    throw refused(out, "cannot be written: no permission");
  }
}

function refused(out: string, problem: string): Florence2Error {
  return new Florence2Error("option_invalid", `--out ${out} ${problem}.`, { out });
}

/** Draws an answer onto its image, in the format that the name asks for. */
export async function writeAnnotated(
  target: string,
  image: RgbImage,
  answer: Answer,
  region: Region | undefined,
): Promise<void> {
  const scale = Math.max(1, Math.round(LEGIBLE / Math.max(image.width, image.height)));
  const bytes = await annotated(extname(target).toLowerCase(), image, answer, { region, scale });
  if (target === "-") {
    process.stdout.write(bytes);
    return;
  }
  makeFolder(dirname(resolve(target)));
  writeFileSync(target, bytes);
}

async function annotated(
  ending: string,
  image: RgbImage,
  answer: Answer,
  options: { readonly region: Region | undefined; readonly scale: number },
): Promise<Uint8Array> {
  const raw = { ...image, channels: 3 } as const;
  const sharp = await loadSharp();
  if (ending === ".svg") {
    const { data, width, height } = image;
    const png = await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    const { scale } = options;
    const embedded = `<image width="${Math.round(width * scale)}" height="${Math.round(height * scale)}" href="data:image/png;base64,${png.toString("base64")}"/>`;
    return Buffer.from(
      drawAnswer(answer, image, options).replace(/^<svg[^>]*>/, (start) => `${start}\n${embedded}`),
    );
  }
  const png = await drawOnImage(raw, answer, options);
  if (ending === ".webp") return sharp(png).webp({ quality: 90 }).toBuffer();
  if (ending === ".jpg" || ending === ".jpeg") return sharp(png).jpeg({ quality: 90 }).toBuffer();
  return png;
}
