import { Florence2Error, messageOf } from "../../core/errors.ts";
import { importPackage } from "../../core/platform.ts";
import { withoutTransparency } from "./gif.ts";
import type { ImageHeader } from "./header.ts";
import { type Background, keepRgb, type RgbImage } from "./pixels.ts";
import { withoutTransparentGrey } from "./png.ts";

type Sharp = typeof import("sharp").default;

/** As sharp names them: 8-bit grey and RGB, CMYK, 16-bit grey and RGB. */
const readSpaces = ["b-w", "srgb", "cmyk", "grey16", "rgb16"];

/**
 * Decodes with sharp to what Pillow's `convert("RGB")` gives. Throws `dependency_missing`,
 * `image_unsupported` for samples of other kinds than 8 and 16 bit grey, RGB and CMYK, and `image_corrupt`.
 */
export async function decodeWithSharp(
  bytes: Uint8Array,
  header: ImageHeader,
  background?: Background,
): Promise<RgbImage> {
  const sharp = await loadSharp();
  const options = {
    autoOrient: true,
    ignoreIcc: true,
    // Harmless oddities, such as the scan headers of some phones, are warnings; lost pixels are errors.
    failOn: "error",
    limitInputPixels: header.width * header.height,
  } as const;
  try {
    const source = sharp(readable(bytes, header, background !== undefined), options);
    const { space, depth, channels } = await source.metadata();
    if (!readSpaces.includes(space) || !["uchar", "ushort"].includes(depth)) {
      throw new Florence2Error(
        "image_unsupported",
        `The ${header.format} image has ${space} samples of type ${depth}; 8 and 16 bit grey, RGB and CMYK are read.`,
        { format: header.format, space, depth },
      );
    }
    // Left to itself, libvips converts CMYK with a profile, and halves the bits of grey.
    const isCmyk = space === "cmyk";
    const isGrey16 = space === "grey16" && channels === 1;
    if (isCmyk) source.pipelineColourspace("cmyk").toColourspace("cmyk");
    else if (isGrey16) source.toColourspace("grey16");
    else if (!background) source.removeAlpha();

    const raw = source.raw({ depth: isGrey16 ? "ushort" : "uchar" });
    const { data, info } = await raw.toBuffer({ resolveWithObject: true });
    const { width, height } = info;
    if (isCmyk) return { data: rgbFromCmyk(data, info.channels), width, height };
    if (isGrey16) return { data: rgbFromGrey16(data, info.channels), width, height };
    return { data: keepRgb(data, info.channels, background), width, height };
  } catch (error) {
    if (error instanceof Florence2Error) throw error;
    const reason = messageOf(error).split("\n")[0];
    const isUnsupported = /unsupported|not configured|not supported/i.test(messageOf(error));
    throw new Florence2Error(
      isUnsupported ? "image_unsupported" : "image_corrupt",
      `The ${header.format} image of ${header.width} x ${header.height} pixels cannot be decoded: ${reason}`,
      { ...header },
      error,
    );
  }
}

/** The package sharp, loaded on first use. Throws `dependency_missing`. */
export async function loadSharp(): Promise<Sharp> {
  return (await importPackage<{ default: Sharp }>("sharp")).default;
}

/** The same image in a form that libvips decodes, and decodes to the colours wanted. */
function readable(bytes: Uint8Array, header: ImageHeader, keepsAlpha: boolean): Uint8Array {
  if (header.format === "GIF" && !keepsAlpha) return withoutTransparency(bytes);
  if (header.format === "PNG" && !keepsAlpha) return withoutTransparentGrey(bytes);
  if (header.format === "AVIF" && bytes[11] === 0x73) {
    // libvips knows the brand "avif" but not "avis", that of a sequence; the first image is the same.
    const copy = bytes.slice();
    copy[11] = 0x66;
    return copy;
  }
  return bytes;
}

/** Pillow's formula without a colour profile: each ink darkens what black leaves. */
function rgbFromCmyk(cmyk: Uint8Array, channels: number): Uint8Array {
  const pixels = cmyk.length / channels;
  const rgb = new Uint8ClampedArray(pixels * 3);
  for (let i = 0; i < pixels; i++) {
    const light = 255 - cmyk[i * channels + 3]!;
    for (let ink = 0; ink < 3; ink++) {
      // ink * light / 255, rounded, in integers.
      const product = cmyk[i * channels + ink]! * light + 128;
      rgb[i * 3 + ink] = light - (((product >> 8) + product) >> 8);
    }
  }
  return new Uint8Array(rgb.buffer);
}

/** Pillow does not scale 16-bit grey down: it clips to 255. (It does scale 16-bit RGB and grey with alpha.) */
function rgbFromGrey16(data: Uint8Array, channels: number): Uint8Array {
  const grey = new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2);
  return keepRgb(Uint8ClampedArray.from(grey), channels);
}
