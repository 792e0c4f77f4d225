/**
 * Windows bitmaps, which sharp does not read: 1, 4, 8, 16, 24 and 32 bits, run lengths, masks, all versions of the
 * header since OS/2's. Colours are those of Pillow's BmpImagePlugin. Alpha is dropped.
 * https://learn.microsoft.com/windows/win32/gdi/bitmap-storage
 */
import { Florence2Error } from "../../core/errors.ts";
import type { RgbImage } from "./pixels.ts";

const FILE_HEADER = 14;
/** The header of OS/2, with sides in 16 bits and a palette of 3 bytes a colour. */
const CORE_HEADER = 12;
const RAW = 0;
const RLE8 = 1;
const RLE4 = 2;
const MASKS = 3;
const MASKS_WITH_ALPHA = 6;

/** Sides in pixels. Throws RangeError where the header is cut off. */
export function bmpSize(view: DataView): { width: number; height: number } {
  if (view.getUint32(FILE_HEADER, true) === CORE_HEADER) {
    return { width: view.getUint16(18, true), height: view.getUint16(20, true) };
  }
  return { width: view.getInt32(18, true), height: Math.abs(view.getInt32(22, true)) };
}

/** Throws `image_corrupt` for a file that is cut off, `image_unsupported` for other compressions and depths. */
export function decodeBmp(bytes: Uint8Array): RgbImage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    return decode(bytes, view);
  } catch (error) {
    if (error instanceof RangeError) throw corrupt("ends inside its header");
    throw error;
  }
}

function decode(bytes: Uint8Array, view: DataView): RgbImage {
  const { width, height } = bmpSize(view);
  const headerBytes = view.getUint32(FILE_HEADER, true);
  const isCore = headerBytes === CORE_HEADER;
  const bits = view.getUint16(isCore ? 24 : 28, true);
  const compression = isCore ? RAW : view.getUint32(30, true);
  const isRunLengths = (compression === RLE8 && bits === 8) || (compression === RLE4 && bits === 4);
  const isMasked = [MASKS, MASKS_WITH_ALPHA].includes(compression) && (bits === 16 || bits === 32);
  if (![1, 4, 8, 16, 24, 32].includes(bits) || !(compression === RAW || isRunLengths || isMasked)) {
    throw new Florence2Error(
      "image_unsupported",
      `The image is a BMP of ${bits} bits a pixel with compression ${compression}. ` +
        "1, 4, 8, 16, 24 and 32 bits, run lengths and masks are read.",
      { format: "BMP", bits, compression },
    );
  }
  const data = bytes.subarray(view.getUint32(10, true));
  const rows = isRunLengths ? expandRuns(data, width, height, bits) : unpackRows(data, width, height, bits);
  const colour =
    bits <= 8
      ? paletteOf(view, bits, headerBytes)
      : bits === 24
        ? fromBgr
        : fromMasks(masksOf(view, bits, isMasked));
  const isTopDown = !isCore && view.getInt32(22, true) < 0;
  const rgb = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = (isTopDown ? y : height - 1 - y) * width;
    for (let x = 0; x < width; x++) rgb.set(colour(rows[from + x]!), (y * width + x) * 3);
  }
  return { data: rgb, width, height };
}

type Colour = readonly [red: number, green: number, blue: number];

/** Pixels as whole numbers, row by row as stored. A row takes a multiple of 4 bytes. */
function unpackRows(data: Uint8Array, width: number, height: number, bits: number): Uint32Array {
  const stride = Math.ceil((width * bits) / 32) * 4;
  if (data.length < stride * (height - 1) + Math.ceil((width * bits) / 8)) {
    throw corrupt(`has ${data.length} bytes of pixels instead of ${stride * height}`);
  }
  const pixels = new Uint32Array(width * height);
  const bytesEach = bits >> 3;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * stride + ((x * bits) >> 3);
      let pixel = 0;
      if (bits < 8) pixel = (data[at]! >> (8 - bits - ((x * bits) & 7))) & ((1 << bits) - 1);
      for (let byte = 0; byte < bytesEach; byte++) pixel += data[at + byte]! * 256 ** byte;
      pixels[y * width + x] = pixel;
    }
  }
  return pixels;
}

/** Run lengths of 8 or 4 bits: pixels that are skipped have the first colour. */
function expandRuns(data: Uint8Array, width: number, height: number, bits: number): Uint32Array {
  const pixels = new Uint32Array(width * height);
  let [x, y, at] = [0, 0, 0];
  const put = (value: number) => {
    if (x < width && y < height) pixels[y * width + x] = value;
    x++;
  };
  const half = (byte: number, i: number) => (bits === 8 ? byte : i % 2 === 0 ? byte >> 4 : byte & 15);
  while (y < height) {
    if (at + 2 > data.length) throw corrupt(`ends in row ${y} of ${height}`);
    const [count, value] = [data[at]!, data[at + 1]!];
    at += 2;
    if (count > 0) {
      for (let i = 0; i < count; i++) put(half(value, i));
    } else if (value === 0) {
      [x, y] = [0, y + 1];
    } else if (value === 1) {
      break;
    } else if (value === 2) {
      [x, y] = [x + (data[at] ?? 0), y + (data[at + 1] ?? 0)];
      at += 2;
    } else {
      const length = Math.ceil((value * bits) / 8);
      if (at + length > data.length) throw corrupt(`ends in row ${y} of ${height}`);
      for (let i = 0; i < value; i++) put(half(data[at + ((i * bits) >> 3)]!, i));
      at += length + (length % 2);
    }
  }
  return pixels;
}

/** Indices beyond the palette are black, as in Pillow. */
function paletteOf(view: DataView, bits: number, headerBytes: number): (index: number) => Colour {
  const isCore = headerBytes === CORE_HEADER;
  const size = isCore ? 3 : 4;
  const count = (isCore ? 0 : view.getUint32(46, true)) || 1 << bits;
  const first = FILE_HEADER + headerBytes;
  return (index) => {
    if (index >= count) return [0, 0, 0];
    const at = first + index * size;
    return [view.getUint8(at + 2), view.getUint8(at + 1), view.getUint8(at)];
  };
}

const fromBgr = (pixel: number): Colour => [pixel >>> 16, (pixel >>> 8) & 255, pixel & 255];

/** Masks of red, green and blue; without any, 5 bits of 16 and 8 of 32. */
function masksOf(view: DataView, bits: number, isMasked: boolean): Colour {
  const masks: Colour = [view.getUint32(54, true), view.getUint32(58, true), view.getUint32(62, true)];
  if (isMasked && masks.some((mask) => mask !== 0)) return masks;
  return bits === 16 ? [0x7c00, 0x3e0, 0x1f] : [0xff0000, 0xff00, 0xff];
}

/** `0x1f → 31`: five bits become levels from 0 to 255, rounded down. */
function fromMasks(masks: Colour): (pixel: number) => Colour {
  const channels = masks.map((mask) => {
    const shift = mask === 0 ? 0 : 31 - Math.clz32(mask & -mask);
    return { mask, shift, max: mask >>> shift };
  });
  return (pixel) =>
    channels.map(({ mask, shift, max }) =>
      max === 0 ? 0 : Math.floor((((pixel & mask) >>> shift) * 255) / max),
    ) as unknown as Colour;
}

function corrupt(what: string): Florence2Error {
  return new Florence2Error("image_corrupt", `The BMP image ${what}.`, { format: "BMP" });
}
