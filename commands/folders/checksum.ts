import { sha256Of } from "../../files/sha256.ts";

/** SHA-256 of a file in hexadecimal digits; `undefined` if it cannot be read: what decodes it says why. */
export const checksumOf = (path: string): Promise<string | undefined> =>
  sha256Of(path).catch(() => undefined);
