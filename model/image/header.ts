import { Florence2Error } from "../../core/errors.ts";
import { bmpSize } from "./bmp.ts";

export type ImageFormat = "AVIF" | "BMP" | "GIF" | "JPEG" | "PNG" | "TIFF" | "WebP";

/** The header of an encoded image. Sides in pixels as stored, before EXIF orientation. */
export interface ImageHeader {
  format: ImageFormat;
  width: number;
  height: number;
}

type Size = Omit<ImageHeader, "format">;

/**
 * Format and size of an encoded image, read from its bytes alone: neither a name nor a media type is asked,
 * and nothing is decoded. Throws `image_unsupported` for anything but the seven formats and for the rare
 * kinds of them that are not decoded (JPEG other than 8-bit baseline or progressive, TIFF with other
 * colours than grey, RGB, palette and CMYK), `image_corrupt` for a header that is cut off or broken.
 */
export function parseImageHeader(bytes: Uint8Array): ImageHeader {
  const format = detectFormat(bytes);
  let size: Size;
  try {
    size = sizeReaders[format](new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch (error) {
    // DataView refuses to read past the end.
    if (error instanceof RangeError) throw corrupt(format, "ends inside its header");
    throw error;
  }
  if (size.width < 1 || size.height < 1) throw corrupt(format, `has ${size.width} x ${size.height} pixels`);
  return { format, ...size };
}

const sizeReaders: Record<ImageFormat, (view: DataView) => Size> = {
  AVIF: avifSize,
  BMP: bmpSize,
  GIF: (view) => ({ width: view.getUint16(6, true), height: view.getUint16(8, true) }),
  JPEG: jpegSize,
  PNG: pngSize,
  TIFF: tiffSize,
  WebP: webpSize,
};

function corrupt(format: ImageFormat, what: string): Florence2Error {
  return new Florence2Error("image_corrupt", `The ${format} image ${what}.`, { format });
}

function unsupported(what: string, remedy: string): Florence2Error {
  return new Florence2Error("image_unsupported", `The image is ${what}. ${remedy}`, { found: what });
}

function detectFormat(bytes: Uint8Array): ImageFormat {
  // One character per byte, so that signatures can be written as strings.
  const start = String.fromCharCode(...bytes.subarray(0, 32));
  if (start.startsWith("\xff\xd8\xff")) return "JPEG";
  if (start.startsWith("\x89PNG\r\n\x1a\n")) return "PNG";
  if (start.startsWith("GIF87a") || start.startsWith("GIF89a")) return "GIF";
  if (start.startsWith("RIFF") && start.startsWith("WEBP", 8)) return "WebP";
  // The size of the header tells a bitmap from a text that begins with BM.
  if (start.startsWith("BM") && [12, 40, 52, 56, 64, 108, 124].includes(bytes[14] ?? 0)) return "BMP";
  if (start.startsWith("II*\0") || start.startsWith("MM\0*")) return "TIFF";
  if (start.startsWith("ftyp", 4) && /avi[fs]/.test(start.slice(8))) return "AVIF";
  throw unsupported(guessName(start), "AVIF, BMP, GIF, JPEG, PNG, TIFF and WebP are read.");
}

/** A name for what is refused: it tells more than "unknown format" to someone who mixed up two files. */
function guessName(start: string): string {
  if (start === "") return "empty (0 bytes)";
  if (start.startsWith("%PDF")) return "a PDF document";
  if (start.startsWith("BM")) return "a BMP file with an unknown header";
  if (start.startsWith("\0\0\0\x0cjP  ") || start.startsWith("\xff\x4f\xff\x51")) return "a JPEG 2000 file";
  if (start.startsWith("\0\0\x01\0")) return "an ICO file";
  if (start.startsWith("II+\0") || start.startsWith("MM\0+")) return "a BigTIFF file";
  if (start.startsWith("ftyp", 4)) return "a HEIC, MP4 or other ISO media file";
  if (/^(\xef\xbb\xbf)?\s*</.test(start)) return "SVG, HTML or other XML text";
  return "of an unknown format";
}

/** ISO/IEC 15948, 11.2.2. */
function pngSize(view: DataView): Size {
  // The first chunk must be IHDR.
  if (view.getUint32(12) !== 0x49484452) throw corrupt("PNG", "does not begin with an IHDR chunk");
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

/**
 * ITU-T T.81, annex B: marker segments up to the first frame header (SOFn). Like other decoders, skips what stands
 * between segments and is none.
 */
function jpegSize(view: DataView): Size {
  for (let at = 2; ; ) {
    const marker = view.getUint8(at + 1);
    // Fill bytes, stray bytes and escaped zeros.
    if (view.getUint8(at) !== 0xff || marker === 0xff || marker === 0) {
      at += 1;
    } else if (marker === 0xda || marker === 0xd9) {
      throw corrupt("JPEG", "has no frame header");
    } else if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      const precision = view.getUint8(at + 4);
      if (marker > 0xc2 || precision !== 8) {
        const kind = marker > 0xc2 ? "a lossless, hierarchical or arithmetic-coded" : `a ${precision}-bit`;
        throw unsupported(`${kind} JPEG`, "8-bit baseline and progressive JPEG are read.");
      }
      return { height: view.getUint16(at + 5), width: view.getUint16(at + 7) };
    } else {
      at += 2 + view.getUint16(at + 2);
    }
  }
}

/** RFC 9649: a lossy (VP8), lossless (VP8L) or extended (VP8X) first chunk. */
function webpSize(view: DataView): Size {
  const chunk = view.getUint32(12);
  if (chunk === 0x56503820) {
    return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  }
  if (chunk === 0x5650384c) {
    const packed = view.getUint32(21, true);
    return { width: (packed & 0x3fff) + 1, height: ((packed >>> 14) & 0x3fff) + 1 };
  }
  if (chunk === 0x56503858) {
    const uint24 = (at: number) => view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    return { width: uint24(24) + 1, height: uint24(27) + 1 };
  }
  throw corrupt("WebP", "has an unknown first chunk");
}

/** TIFF 6.0: the tags of the first directory. */
function tiffSize(view: DataView): Size {
  const little = view.getUint8(0) === 0x49;
  const directory = view.getUint32(4, little);
  const tags = new Map<number, number>();
  for (let i = 0; i < view.getUint16(directory, little); i++) {
    const entry = directory + 2 + i * 12;
    const isShort = view.getUint16(entry + 2, little) === 3;
    const value = isShort ? view.getUint16(entry + 8, little) : view.getUint32(entry + 8, little);
    tags.set(view.getUint16(entry, little), value);
  }
  const width = tags.get(256);
  const height = tags.get(257);
  if (width === undefined || height === undefined) throw corrupt("TIFF", "has no width or height");
  // Grey, RGB, palette or CMYK. YCbCr outside of JPEG data is refused because libvips takes it for RGB.
  const colours = tags.get(262) ?? 0;
  const isYCbCrJpeg = colours === 6 && tags.get(259) === 7;
  if (![0, 1, 2, 3, 5].includes(colours) && !isYCbCrJpeg) {
    throw unsupported(
      `a TIFF of photometric interpretation ${colours}`,
      "Grey, RGB, palette and CMYK are read.",
    );
  }
  return { width, height };
}

/** ISO/IEC 23008-12, 6.5.3: the largest `ispe` property, since the tiles of a grid have smaller ones. */
function avifSize(view: DataView): Size {
  const largest = { width: 0, height: 0 };
  const visit = (begin: number, end: number) => {
    for (let at = begin; at < end; ) {
      const type = view.getUint32(at + 4);
      const length = view.getUint32(at) || end - at;
      if (length < 8) throw corrupt("AVIF", `has a box of ${length} bytes`);
      if (type === 0x6d657461) visit(at + 12, at + length); // meta, with version and flags
      if (type === 0x69707270 || type === 0x6970636f) visit(at + 8, at + length); // iprp, ipco
      if (type === 0x69737065) {
        largest.width = Math.max(largest.width, view.getUint32(at + 12));
        largest.height = Math.max(largest.height, view.getUint32(at + 16));
      }
      if (type === 0x6d657461) return; // Pixel data (mdat), which may be cut off, follow.
      at += length;
    }
  };
  visit(0, view.byteLength);
  return largest;
}
