/** Masks as PNG files: one byte a pixel, grey or by a palette. */

import type { ImageSize } from "../geometry/masks.ts";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const [GREY, PALETTE] = [0, 3];

/**
 * Writes a PNG of 8 bits a pixel.
 *
 * @param pixels row after row
 * @param colours red, green, blue of each value; without them, values are levels of grey
 */
export async function encodePng(
  pixels: Uint8Array,
  { width, height }: ImageSize,
  colours?: readonly (readonly [number, number, number])[],
): Promise<Uint8Array> {
  const rows = new Uint8Array(height * (width + 1));
  for (let y = 0; y < height; y++) {
    rows.set(pixels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  }
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8);
  header.setUint8(9, colours ? PALETTE : GREY);
  const chunks = [
    Uint8Array.from(SIGNATURE),
    chunk("IHDR", new Uint8Array(header.buffer)),
    ...(colours ? [chunk("PLTE", Uint8Array.from(colours.flat()))] : []),
    chunk("IDAT", await deflate(rows)),
    chunk("IEND", new Uint8Array()),
  ];
  return joinBytes(chunks);
}

/** A mask of columns, as `rasterize` gives it, as rows, its ones as `value`. */
export function maskRows(mask: Uint8Array, { width, height }: ImageSize, value = 1): Uint8Array {
  const rows = new Uint8Array(width * height);
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) rows[y * width + x] = mask[x * height + y]! * value;
  }
  return rows;
}

/** Compresses as zlib does, which PNG and PDF call for. */
export async function deflate(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const body = joinBytes([new TextEncoder().encode(type), data]);
  const [length, checksum] = [new DataView(new ArrayBuffer(4)), new DataView(new ArrayBuffer(4))];
  length.setUint32(0, data.length);
  checksum.setUint32(0, crc32(body));
  return joinBytes([new Uint8Array(length.buffer), body, new Uint8Array(checksum.buffer)]);
}

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** The checksum of PNG (ISO 3309). */
function crc32(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC[(value ^ byte) & 255]! ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
