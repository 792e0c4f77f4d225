import { describe, expect, it } from "vitest";
import { textPath, textWidth, wrapText } from "../../draw/stroke_font.ts";
import { ASCII, pointsIn } from "../support/drawings.ts";

describe("the stroke font", () => {
  it("has a shape of its own for every printable character of ASCII", () => {
    const shapes = ASCII.map((character) => textPath(character, 0, 20, 20));
    expect(new Set(shapes).size).toBe(ASCII.length);
    expect(shapes).not.toContain(textPath("中", 0, 20, 20));
  });

  it("keeps letters between the lines above and below, and within their width", () => {
    for (const character of ASCII) {
      for (const [x, y] of pointsIn(textPath(character, 0, 20, 20))) {
        expect(x, character).toBeGreaterThanOrEqual(0);
        expect(x, character).toBeLessThanOrEqual(textWidth(character, 20) + 1e-9);
        expect(y, character).toBeGreaterThanOrEqual(-1);
        expect(y, character).toBeLessThanOrEqual(26);
      }
    }
  });

  it("draws a frame for what it does not know, and letters without their accents", () => {
    expect(textPath("☃", 0, 20, 20)).toMatch(/^M.*Z$/);
    expect(textPath("\u0007", 0, 20, 20)).toBe(textPath("☃", 0, 20, 20));
    expect(textPath("Café", 0, 20, 20)).toBe(textPath("Cafe", 0, 20, 20));
  });

  it("sets a line from its place, at its size", () => {
    expect(textPath("HI", 100, 50, 10)).toBe(
      "M100 40L100 50M106.5 40L106.5 50M100 45L106.5 45M109.5 40L112.5 40M111 40L111 50M109.5 50L112.5 50",
    );
    expect(textWidth("HI", 10)).toBe(12.5);
    expect(textWidth("", 10)).toBe(0);
  });

  it("breaks lines between words, and words that are too long", () => {
    expect(wrapText("a bb ccc", 20, textWidth("a bb", 20))).toEqual(["a bb", "ccc"]);
    expect(wrapText("a\nb", 20, 1000)).toEqual(["a", "b"]);
    expect(wrapText("aaaaa", 20, textWidth("aa", 20))).toEqual(["aa", "aa", "a"]);
    const text = ASCII.join("").repeat(9);
    const lines = wrapText(text, 10, 200);
    expect(lines.join("").replaceAll(" ", "")).toBe(text.replaceAll(" ", ""));
    expect(Math.max(...lines.map((line) => textWidth(line, 10)))).toBeLessThanOrEqual(200);
  });
});
