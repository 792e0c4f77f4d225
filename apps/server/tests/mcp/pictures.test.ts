import { loadImage } from "florence2-webgpu";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { cutOut, drawnPicture, MAX_BYTES, MAX_SIDE, type Picture } from "../../mcp/pictures.ts";

const limits = { maxPixels: 50_000_000, maxBytes: 50_000_000 };
const object = { label: "a label that is longer than the image", box: [0, 0, 1, 1] as const, score: 0.5 };

/** Noise, of which no JPEG gets small, as a PNG file. */
async function noise(width: number, height: number): Promise<Uint8Array> {
  let state = 1;
  const data = Uint8Array.from({ length: width * height * 3 }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png({ compressionLevel: 0 })
    .toBuffer();
}

async function expectWithinLimits({ data, width, height }: Picture): Promise<void> {
  expect(data.length).toBeLessThanOrEqual(MAX_BYTES);
  expect(Math.max(width, height)).toBeLessThanOrEqual(MAX_SIDE);
  expect(await loadImage(data)).toMatchObject({ width, height });
}

describe.each([
  [2000, 1500],
  [3000, 1],
  [1, 3000],
  [1, 1],
])("pictures of %i x %i pixels of noise", (width, height) => {
  it("are within the limits with what is drawn onto them", async () => {
    await expectWithinLimits(await drawnPicture(await noise(width, height), [object], limits));
  });

  it("are within the limits when they are cut out, and the file keeps every pixel", async () => {
    const image = await loadImage(await noise(width, height));
    const { file, picture } = await cutOut(image, { x1: 0, y1: 0, x2: width, y2: height });
    await expectWithinLimits(picture);
    expect(Buffer.compare(Buffer.from((await loadImage(file)).data), Buffer.from(image.data))).toBe(0);
  });
});
