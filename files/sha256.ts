import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";

const PIECE = 2 ** 20;

/** SHA-256 of a file on this machine, in hexadecimal digits, piece by piece. */
export async function sha256Of(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path, { highWaterMark: PIECE })) {
    signal?.throwIfAborted();
    hash.update(piece);
  }
  return hash.digest("hex");
}
