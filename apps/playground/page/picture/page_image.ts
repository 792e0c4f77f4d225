import type { AskedImage } from "../engines/engine.ts";
import { Failure } from "../failure.ts";
import type { Size } from "./geometry.ts";

/** An image of the page: a sample, or the visitor's. */
export interface PageImage extends AskedImage, Size {
  /** For `img` elements. */
  readonly url: string;
  /** The address that a shared link can name: of a sample, or of an image from the web. */
  readonly address?: string;
  /** A drawn scene, which the bundled checkpoint knows. */
  readonly isSample: boolean;
  /** A text that tasks can be tried with. */
  readonly phrase?: string;
}

let next = 1;

/**
 * Opens an image file as the browser shows it.
 *
 * @throws {Failure} `image_unsupported` for what this browser cannot show
 */
export async function openImage(
  blob: Blob,
  name: string,
  more: Partial<Pick<PageImage, "address" | "isSample" | "phrase">> = {},
): Promise<PageImage> {
  const url = URL.createObjectURL(blob);
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
    if (!image.naturalWidth) throw new Error("it has no size");
  } catch {
    URL.revokeObjectURL(url);
    const kinds = "JPEG, PNG, WebP, AVIF, GIF or BMP";
    throw new Failure("image_unsupported", `${name} is no image that this browser can show (${kinds}).`);
  }
  const { naturalWidth: width, naturalHeight: height } = image;
  return { id: `image-${next++}`, name, blob, url, width, height, isSample: false, ...more };
}

/** Opens an image of the web, if its site lets pages read it. */
export async function openImageAt(address: string): Promise<PageImage> {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!url || !/^https?:$/.test(url.protocol))
    throw new Failure("address_invalid", "Give the address of an image, beginning with https://.");
  let response: Response;
  try {
    response = await fetch(url, { credentials: "omit", referrerPolicy: "no-referrer" });
  } catch {
    const why = "There is no such image, or its site does not let other pages read it (CORS).";
    throw new Failure("image_unreachable", `${why} Save the image and open the file.`);
  }
  if (!response.ok)
    throw new Failure("image_unreachable", `${url.host} answered with status ${response.status}.`);
  const name = decoded(url.pathname.split("/").pop() ?? "") || "image";
  return openImage(await response.blob(), name, { address: url.href });
}

/** A part of an address as people read it; escapes that are none stay. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
