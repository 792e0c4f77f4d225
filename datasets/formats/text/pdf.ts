/** Searchable PDF: the image, and over it the text, invisible but open to search and copying. */

import type { LabelledImage } from "../../labelled.ts";
import { linesOf, type TextLine } from "../../reading_order.ts";
import { deflate, joinBytes } from "../../shared/png.ts";
import { rounded } from "../format.ts";

/** A JPEG file, or pixels row after row. */
export type PdfImage =
  | { readonly jpeg: Uint8Array; readonly channels: 1 | 3 | 4 }
  | { readonly pixels: Uint8Array; readonly channels: 1 | 3 };

/** A page of the size of its image, upright. */
export interface PdfPage extends LabelledImage {
  readonly image: PdfImage;
}

/** Pixels of an inch, where nothing else is known. */
const DOTS_PER_INCH = 96;
const POINTS_PER_INCH = 72;
/** Characters that one font has numbers for. */
const FONT_SIZE = 256;
/** Width of every glyph, in thousandths of the letters' height. */
const GLYPH_WIDTH = 500;

/**
 * A PDF of some pages. JPEG files go in as they are. Letters belong to fonts without shapes (Type 3), 256 to a
 * font, which say what character each stands for: every script can be searched.
 */
export async function writePdf(pages: readonly PdfPage[]): Promise<Uint8Array> {
  const objects = new PdfObjects();
  const [catalog, tree, glyph] = [objects.reserve(), objects.reserve(), objects.reserve()];
  await objects.stream(glyph, "", text(`${GLYPH_WIDTH} 0 d0`));
  const kids: number[] = [];
  for (const page of pages) kids.push(await addPage(objects, page, tree, glyph));
  objects.set(
    tree,
    `<< /Type /Pages /Count ${kids.length} /Kids [${kids.map((id) => `${id} 0 R`).join(" ")}] >>`,
  );
  objects.set(catalog, `<< /Type /Catalog /Pages ${tree} 0 R >>`);
  return objects.file(catalog);
}

async function addPage(objects: PdfObjects, page: PdfPage, parent: number, glyph: number): Promise<number> {
  const { width, height } = page;
  const image = await addImage(objects, page);
  const lines = linesOf(page);
  const characters = [...new Set(lines.flatMap(({ text: line }) => [...line]))];
  const fonts: number[] = [];
  for (let from = 0; from < characters.length; from += FONT_SIZE) {
    fonts.push(await addFont(objects, characters.slice(from, from + FONT_SIZE), glyph));
  }
  const codes = new Map(characters.map((character, i) => [character, i]));
  const scale = POINTS_PER_INCH / DOTS_PER_INCH;
  // The matrix lets all that follows count in pixels from the upper left corner, y downwards.
  const content = [
    `q ${number(width * scale)} 0 0 ${number(height * scale)} 0 0 cm /Image Do Q`,
    `q ${number(scale)} 0 0 ${number(-scale)} 0 ${number(height * scale)} cm`,
    "BT 3 Tr",
    ...lines.map((line) => showLine(line, codes)),
    "ET Q",
  ];
  const body = objects.reserve();
  await objects.stream(body, "", text(content.join("\n")));
  const fontList = fonts.map((id, i) => `/F${i} ${id} 0 R`).join(" ");
  const box = `[0 0 ${number(width * scale)} ${number(height * scale)}]`;
  return objects.add(
    `<< /Type /Page /Parent ${parent} 0 R /MediaBox ${box} /Contents ${body} 0 R ` +
      `/Resources << /XObject << /Image ${image} 0 R >> /Font << ${fontList} >> >> >>`,
  );
}

/** Sets a line onto the lower edge of its quad, as long and as high as it. */
function showLine({ text: line, quad }: TextLine, codes: ReadonlyMap<string, number>): string {
  const [topX, topY, , , endX, endY, startX, startY] = quad as readonly [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const characters = [...line];
  const along = (GLYPH_WIDTH / 1000) * characters.length;
  const matrix = [
    (endX - startX) / along,
    (endY - startY) / along,
    topX - startX,
    topY - startY,
    startX,
    startY,
  ];
  const shown: string[] = [];
  let font = -1;
  for (const character of characters) {
    const code = codes.get(character)!;
    if (Math.floor(code / FONT_SIZE) !== font) {
      font = Math.floor(code / FONT_SIZE);
      shown.push(`${shown.length > 0 ? "> Tj " : ""}/F${font} 1 Tf <`);
    }
    shown.push((code % FONT_SIZE).toString(16).padStart(2, "0"));
  }
  return `${matrix.map((item) => number(item)).join(" ")} Tm ${shown.join("")}> Tj`;
}

async function addFont(objects: PdfObjects, characters: readonly string[], glyph: number): Promise<number> {
  const names = characters.map((_, i) => `/g${i}`);
  const unicode = objects.reserve();
  await objects.stream(unicode, "", text(toUnicode(characters)));
  return objects.add(
    "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 1000 1000] /FontMatrix [0.001 0 0 0.001 0 0] " +
      `/CharProcs << ${names.map((name) => `${name} ${glyph} 0 R`).join(" ")} >> ` +
      `/Encoding << /Type /Encoding /Differences [0 ${names.join(" ")}] >> ` +
      `/FirstChar 0 /LastChar ${characters.length - 1} /Widths [${names.map(() => GLYPH_WIDTH).join(" ")}] ` +
      `/Resources << >> /ToUnicode ${unicode} 0 R >>`,
  );
}

/** The character that each code of a font stands for, in UTF-16. */
function toUnicode(characters: readonly string[]): string {
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");
  const entries = characters.map((character, code) => {
    const units = Array.from(character.split(""), (unit) => hex(unit.charCodeAt(0), 4));
    return `<${hex(code, 2)}> <${units.join("")}>`;
  });
  const blocks: string[] = [];
  for (let from = 0; from < entries.length; from += 100) {
    const own = entries.slice(from, from + 100);
    blocks.push(`${own.length} beginbfchar`, ...own, "endbfchar");
  }
  return [
    "/CIDInit /ProcSet findresource begin 12 dict begin begincmap",
    "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def",
    "/CMapName /Adobe-Identity-UCS def /CMapType 2 def",
    "1 begincodespacerange <00> <ff> endcodespacerange",
    ...blocks,
    "endcmap CMapName currentdict /CMap defineresource pop end end",
  ].join("\n");
}

async function addImage(objects: PdfObjects, { image, width, height }: PdfPage): Promise<number> {
  const id = objects.reserve();
  const space = { 1: "/DeviceGray", 3: "/DeviceRGB", 4: "/DeviceCMYK" }[image.channels];
  // CMYK in JPEG files is inverted: Adobe wrote it so, and everybody followed.
  const decode = image.channels === 4 ? " /Decode [1 0 1 0 1 0 1 0]" : "";
  const head = `/Type /XObject /Subtype /Image /Width ${width} /Height ${height} /ColorSpace ${space} /BitsPerComponent 8${decode}`;
  if ("jpeg" in image) objects.setStream(id, `${head} /Filter /DCTDecode`, image.jpeg);
  else await objects.stream(id, head, image.pixels);
  return id;
}

/** The numbered objects of a file. */
class PdfObjects {
  readonly #bodies: Uint8Array[] = [];

  /** A number for an object that comes later. */
  reserve(): number {
    return this.#bodies.push(new Uint8Array());
  }

  set(id: number, body: string): void {
    this.#bodies[id - 1] = text(body);
  }

  add(body: string): number {
    const id = this.reserve();
    this.set(id, body);
    return id;
  }

  /** Bytes as they are. */
  setStream(id: number, dictionary: string, bytes: Uint8Array): void {
    const head = text(`<< ${dictionary} /Length ${bytes.length} >>\nstream\n`);
    this.#bodies[id - 1] = joinBytes([head, bytes, text("\nendstream")]);
  }

  /** Bytes compressed. */
  async stream(id: number, dictionary: string, bytes: Uint8Array): Promise<void> {
    this.setStream(id, `${dictionary} /Filter /FlateDecode`, await deflate(bytes));
  }

  /** The whole file, with the table of where each object begins. */
  file(root: number): Uint8Array {
    const parts = [text("%PDF-1.5\n"), Uint8Array.of(0x25, 0xe2, 0xe3, 0xcf, 0xd3, 0x0a)];
    const offsets: number[] = [];
    let at = parts[0]!.length + parts[1]!.length;
    for (const [i, body] of this.#bodies.entries()) {
      const object = joinBytes([text(`${i + 1} 0 obj\n`), body, text("\nendobj\n")]);
      offsets.push(at);
      at += object.length;
      parts.push(object);
    }
    const size = offsets.length + 1;
    const rows = offsets.map((offset) => `${String(offset).padStart(10, "0")} 00000 n \n`);
    parts.push(
      text(`xref\n0 ${size}\n0000000000 65535 f \n${rows.join("")}`),
      text(`trailer\n<< /Size ${size} /Root ${root} 0 R >>\nstartxref\n${at}\n%%EOF\n`),
    );
    return joinBytes(parts);
  }
}

const number = (value: number) => String(rounded(value, 4));

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}
