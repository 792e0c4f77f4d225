import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import { resizeBicubic } from "../../../model/image/resize.ts";

interface ResizeCase {
  seed: number;
  width: number;
  height: number;
  newWidth: number;
  newHeight: number;
  sha256: string;
}

const fixtures = new URL("../../fixtures/pictures/pictures.json", import.meta.url);
const cases: ResizeCase[] = JSON.parse(readFileSync(fixtures, "utf8")).resize;

/** The generator of tests/reference/pictures.py. */
function randomBytes(seed: number, count: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

describe("resizeBicubic", () => {
  it.each(cases)("$width x $height to $newWidth x $newHeight is Pillow's, bit for bit", async (fixture) => {
    const { seed, width, height, newWidth, newHeight } = fixture;
    const rgb = randomBytes(seed, width * height * 3);
    const resized = await resizeBicubic(rgb, width, height, newWidth, newHeight);
    expect(resized.length).toBe(newWidth * newHeight * 3);
    expect(createHash("sha256").update(resized).digest("hex")).toBe(fixture.sha256);
  });

  it("keeps a flat image flat, whatever the scale", async () => {
    for (const side of [1, 2, 3, 50, 333]) {
      const resized = await resizeBicubic(new Uint8Array(100 * 60 * 3).fill(201), 100, 60, side, side + 1);
      expect(new Set(resized)).toEqual(new Set([201]));
    }
  });

  it("does nothing to an image that has the size already", async () => {
    const rgb = randomBytes(1, 4 * 3 * 3);
    expect(await resizeBicubic(rgb, 4, 3, 4, 3)).toBe(rgb);
  });

  it("leaves the input alone", async () => {
    const rgb = randomBytes(5, 30);
    const before = rgb.slice();
    await resizeBicubic(rgb, 5, 2, 3, 7);
    expect(rgb).toEqual(before);
  });

  it("lets the event loop have its turns", async () => {
    // A clock by which each look at it takes a millisecond.
    let now = 0;
    vi.spyOn(performance, "now").mockImplementation(() => now++);
    let turns = 0;
    let isDone = false;
    const count = () => {
      turns++;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    await resizeBicubic(new Uint8Array(3000 * 2000 * 3), 3000, 2000, 768, 768);
    isDone = true;
    vi.restoreAllMocks();
    expect(turns).toBeGreaterThan(2);
  });
});
