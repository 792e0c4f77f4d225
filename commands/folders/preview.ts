import { relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Images } from "../../datasets/formats/format.ts";
import { escapeXml } from "../../datasets/shared/xml.ts";
import { drawAnswer } from "../../draw/index.ts";
import { replaceFile } from "./replace_file.ts";
import type { ImagePlacing } from "./write_files.ts";

/** Side of a drawing in pixels, at least. */
const LEGIBLE = 480;

/** Writes a page with the first images and what was found on them, for a look before all is used. */
export function writePreview(path: string, images: Images, count: number, find: ImagePlacing["find"]): void {
  replaceFile(path, pageOf(path, images, count, find));
}

function* pageOf(path: string, images: Images, count: number, find: ImagePlacing["find"]): Generator<string> {
  yield '<!doctype html><meta charset="utf-8"><title>Preview</title>\n';
  yield "<style>body{font:14px sans-serif;display:flex;flex-wrap:wrap;gap:16px}figure{margin:0;position:relative}svg{position:absolute;left:0;top:0}</style>\n";
  let left = count;
  for (const image of images) {
    if (left-- <= 0) break;
    const scale = Math.max(1, Math.ceil(LEGIBLE / Math.max(image.width, image.height)));
    const source = imageLink(path, find(image.file).path);
    const size = `width="${image.width * scale}" height="${image.height * scale}"`;
    const objects = image.objects.map(({ text, label, ...object }) => ({ ...object, label: text ?? label }));
    const drawing = drawAnswer(objects, image, { scale, scores: true });
    const about = image.objects.length === 1 ? "1 object" : `${image.objects.length} objects`;
    yield `<figure><img src="${escapeXml(source)}" ${size}>${drawing}<figcaption>${escapeXml(image.file)}: ${about}</figcaption></figure>\n`;
  }
}

/** As a browser finds it from the page. */
function imageLink(page: string, image: string): string {
  const way = relative(resolve(page, ".."), resolve(image)).replaceAll("\\", "/");
  return /^[a-z]:/i.test(way) ? pathToFileURL(image).href : way.split("/").map(encodeURIComponent).join("/");
}
