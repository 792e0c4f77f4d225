import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";

const PIECE = 1 << 20;

/** SHA-256 of a file in hexadecimal digits; `undefined` if it cannot be read: what decodes it says why. */
export async function checksumOf(path: string): Promise<string | undefined> {
  const hash = createHash("sha256");
  try {
    for await (const piece of createReadStream(path, { highWaterMark: PIECE })) hash.update(piece);
  } catch {
    return undefined;
  }
  return hash.digest("hex");
}
