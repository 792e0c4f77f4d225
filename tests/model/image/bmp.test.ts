import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { loadImage } from "../../../model/image/load.ts";
import { florenceError } from "../../support/errors.ts";

interface Bitmaps {
  readonly width: number;
  readonly height: number;
  readonly kinds: Readonly<Record<string, { readonly file: string; readonly rgb: string }>>;
}

const { width, height, kinds }: Bitmaps = JSON.parse(
  readFileSync(new URL("../../fixtures/pictures/bitmaps.json", import.meta.url), "utf8"),
);
const bytesOf = (base64: string) => Uint8Array.from(Buffer.from(base64, "base64"));
const file = (kind: string) => bytesOf(kinds[kind]!.file);
/** A kind with some bytes in place of its own. */
const changed = (kind: string, at: number, ...bytes: number[]) => {
  const copy = file(kind);
  copy.set(bytes, at);
  return copy;
};

describe("a Windows bitmap", () => {
  it.each(Object.keys(kinds))("of %s is Pillow's, bit for bit", async (kind) => {
    expect(await loadImage(file(kind))).toEqual({ width, height, data: bytesOf(kinds[kind]!.rgb) });
  });

  it.each(Object.keys(kinds))("of %s is refused when it is cut off", async (kind) => {
    const whole = file(kind);
    for (const length of [16, 24, 40, whole.length - 8]) {
      await expect(loadImage(whole.subarray(0, length)), `${length} bytes`).rejects.toEqual(
        florenceError("image_corrupt", "BMP"),
      );
    }
  });

  it("is refused with depths and compressions that are none", async () => {
    await expect(loadImage(changed("24 bits", 28, 2))).rejects.toEqual(
      florenceError("image_unsupported", "2 bits a pixel"),
    );
    await expect(loadImage(changed("24 bits", 30, 4))).rejects.toEqual(
      florenceError("image_unsupported", "compression 4"),
    );
    await expect(loadImage(changed("24 bits", 18, 0, 0, 0, 0x80))).rejects.toEqual(
      florenceError("image_corrupt", "pixels"),
    );
  });

  it("is judged by its header before memory is allocated", async () => {
    await expect(loadImage(changed("24 bits", 18, 0xff, 0xff, 0, 0, 0xff, 0xff, 0, 0))).rejects.toEqual(
      florenceError("image_too_large", "65535 x 65535"),
    );
  });
});
