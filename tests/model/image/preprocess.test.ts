import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { JsonValue } from "../../../files/json.ts";
import { parseImageConfig, RELEASED_IMAGE_CONFIG } from "../../../model/config/image.ts";
import { preprocessImage } from "../../../model/image/preprocess.ts";

interface PreprocessCase {
  name: string;
  config: { [field: string]: JsonValue } & { size: { width: number; height: number } };
  width: number;
  height: number;
  sha256: string;
}

const folder = fileURLToPath(new URL("../../fixtures/pictures/", import.meta.url));
const cases: PreprocessCase[] = JSON.parse(readFileSync(`${folder}pictures.json`, "utf8")).preprocess;

function pathOf(name: string): string {
  return existsSync(`${folder}kinds/${name}`) ? `${folder}kinds/${name}` : folder + name;
}

describe("preprocessImage", () => {
  for (const { name, config, width, height, sha256 } of cases) {
    it(`${name} at ${config.size.width} x ${config.size.height} is transformers', bit for bit`, async () => {
      const { pixelValues, ...size } = await preprocessImage(
        pathOf(name),
        parseImageConfig({ preprocessor: config })!,
      );
      expect(size).toEqual({ width, height });
      expect(pixelValues.length).toBe(3 * config.size.width * config.size.height);
      const bytes = new Uint8Array(pixelValues.buffer);
      expect(createHash("sha256").update(bytes).digest("hex")).toBe(sha256);
    });
  }

  it("puts whole planes of red, green and blue one after the other", async () => {
    const config = { width: 2, height: 1, rescaleFactor: 1, mean: [0, 0, 0], std: [1, 1, 1] } as const;
    const image = { data: Uint8Array.of(1, 2, 3, 4, 5, 6), width: 2, height: 1, channels: 3 } as const;
    const { pixelValues } = await preprocessImage(image, config);
    expect([...pixelValues]).toEqual([1, 4, 2, 5, 3, 6]);
  });

  it("passes the limits on", async () => {
    const image = { data: new Uint8Array(12), width: 2, height: 2, channels: 3 } as const;
    const promise = preprocessImage(image, RELEASED_IMAGE_CONFIG, { maxPixels: 3 });
    await expect(promise).rejects.toMatchObject({ code: "image_too_large" });
  });
});
