import { ApiError, badRequest } from "../http/errors.ts";

const HEAD = /^data:([\w.+-]+\/[\w.+-]+)?(?:;[\w-]+=[^;,]*)*(;base64)?,/i;

/**
 * The bytes of a `data:` URL in base64, white space allowed. Its media type is not believed: what the bytes are is
 * read from them. Errors never repeat the URL.
 */
export function decodeDataUrl(url: string, maxBytes: number, param: string): Uint8Array {
  const head = HEAD.exec(url.slice(0, 300));
  if (!head?.[2]) {
    throw badRequest(
      "invalid_image",
      "A data: URL must begin with data:image/...;base64, and hold base64.",
      param,
    );
  }
  return decodeBase64(url.slice(head[0].length), maxBytes, param);
}

/** Strict: the standard alphabet with padding. `Buffer.from` would pass over anything else. */
export function decodeBase64(text: string, maxBytes: number, param: string): Uint8Array {
  const compact = /\s/.test(text) ? text.replace(/\s+/g, "") : text;
  const padding = compact.endsWith("==") ? 2 : compact.endsWith("=") ? 1 : 0;
  const size = Math.floor((compact.length / 4) * 3) - padding;
  // How large it is, is not told: input that is cut off beyond the limit ends here, too.
  if (size > maxBytes) {
    throw new ApiError(
      413,
      "image_too_large",
      `The image has more than ${maxBytes} bytes: send it smaller.`,
      { param },
    );
  }
  if (compact.length === 0 || compact.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(compact)) {
    throw badRequest("invalid_image", `The ${compact.length} characters of the image are not base64.`, param);
  }
  return Buffer.from(compact, "base64");
}
