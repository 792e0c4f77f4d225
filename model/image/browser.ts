import { Florence2Error } from "../../core/errors.ts";
import { withoutTransparency } from "./gif.ts";
import type { ImageHeader } from "./header.ts";
import { checkPixels } from "./limits.ts";
import { type Background, keepRgb, type RgbImage } from "./pixels.ts";

const bitmapOptions: ImageBitmapOptions = {
  imageOrientation: "from-image",
  premultiplyAlpha: "none",
  colorSpaceConversion: "none",
};

/**
 * Decodes with the browser's own decoders. Throws `image_corrupt`, or `image_unsupported` for AVIF and TIFF,
 * which not every browser reads.
 */
export async function decodeInBrowser(
  bytes: Uint8Array,
  header: ImageHeader,
  background?: Background,
): Promise<RgbImage> {
  const { format, width, height } = header;
  const readable = format === "GIF" && !background ? withoutTransparency(bytes) : bytes;
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(new Blob([readable as Uint8Array<ArrayBuffer>]), bitmapOptions);
  } catch (error) {
    throw new Florence2Error(
      format === "AVIF" || format === "TIFF" ? "image_unsupported" : "image_corrupt",
      `This browser cannot decode the ${format} image of ${width} x ${height} pixels.`,
      { ...header },
      error,
    );
  }
  return readAndClose(bitmap, Number.POSITIVE_INFINITY, background);
}

/** The pixels of a canvas, video frame, bitmap or page element. Throws `image_invalid` or `image_too_large`. */
export async function captureInBrowser(
  source: CanvasImageSource,
  maxPixels: number,
  background?: Background,
): Promise<RgbImage> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(source, bitmapOptions);
  } catch (error) {
    throw new Florence2Error(
      "image_invalid",
      "The page element has no pixels to read: it is empty, not loaded yet, or from another site.",
      {},
      error,
    );
  }
  return readAndClose(bitmap, maxPixels, background);
}

function readAndClose(bitmap: ImageBitmap, maxPixels: number, background?: Background): RgbImage {
  try {
    const { width, height } = bitmap;
    checkPixels(width, height, maxPixels);
    const rgba = readWithWebGl(bitmap) ?? readWithCanvas(bitmap);
    return { data: keepRgb(rgba, 4, background), width, height };
  } finally {
    bitmap.close();
  }
}

/** A texture keeps the colour of transparent pixels, which a 2D canvas turns black. */
function readWithWebGl(bitmap: ImageBitmap): Uint8Array | undefined {
  const gl = new OffscreenCanvas(1, 1).getContext("webgl2");
  if (!gl) return undefined;
  try {
    const { width, height } = bitmap;
    if (Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return undefined;
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
    gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    const rgba = new Uint8Array(width * height * 4);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, rgba);
    return gl.getError() === gl.NO_ERROR ? rgba : undefined;
  } finally {
    // A page has few contexts; do not wait for the garbage collector.
    gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

function readWithCanvas(bitmap: ImageBitmap): Uint8ClampedArray {
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) {
    throw new Florence2Error(
      "dependency_missing",
      "Pixels of a bitmap can be read here neither with WebGL 2 nor with a 2D canvas. Pass raw pixels instead.",
    );
  }
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, width, height).data;
}
