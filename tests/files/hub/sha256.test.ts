import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Sha256 } from "../../../files/hub/sha256.ts";
import { mix } from "../../../measure/generated/random.ts";

describe("SHA-256", () => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => mix(i));

  it.each([1, 7, 64, 100, 1000])("of every length to 200, in pieces of %i, is Node's", (piece) => {
    for (let length = 0; length <= 200; length++) {
      const hash = new Sha256();
      for (let start = 0; start < length; start += piece)
        hash.update(bytes.subarray(start, Math.min(start + piece, length)));
      const expected = createHash("sha256").update(bytes.subarray(0, length)).digest("hex");
      expect(hash.digest(), String(length)).toBe(expected);
    }
  });
});
