import { Readable } from "node:stream";
import { expect, it } from "vitest";
import { BoundedLines, type LineBounds } from "../bounded_lines.ts";

const wide: LineBounds = { maxString: 100, maxLine: 10_000, onLeftOut: () => {} };

/** The pieces that come out for a text that goes in by parts of a size. */
async function pass(text: string, size: number, bounds: LineBounds = wide): Promise<string[]> {
  const bytes = Buffer.from(text);
  const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  );
  const pieces = await Readable.from(parts).pipe(new BoundedLines(bounds)).toArray();
  return pieces.map(String);
}

const sizes = [1, 2, 3, 7, 64, 100_000];

it.each(sizes)("passes short lines as they are, each in one piece, in parts of %i bytes", async (size) => {
  const lines = [
    JSON.stringify({ method: "a", list: ["", '"', "\\", "é\u2028😀", "\\u0041"], deep: { n: 1 } }),
    JSON.stringify("x".repeat(100)),
    "no JSON",
    "",
  ];
  expect(await pass(`${lines.join("\n")}\n`, size)).toEqual(lines.map((line) => `${line}\n`));
});

it.each(sizes)("cuts long strings, which stay JSON, in parts of %i bytes", async (size) => {
  const long = ["x", "é", "😀", '"', "\\", "\u0001", "\n"].map((one) => one.repeat(120));
  const [line] = await pass(`${JSON.stringify({ long, id: 7 })}\n`, size);
  const read = JSON.parse(line!);
  expect(read.id).toBe(7);
  for (const [i, text] of long.entries()) {
    expect(text.startsWith(read.long[i])).toBe(true);
    const written = Buffer.byteLength(JSON.stringify(read.long[i])) - 2;
    // The longest that is not cut in two: an escape sequence.
    expect(written).toBeGreaterThanOrEqual(100);
    expect(written).toBeLessThan(106);
  }
});

it.each(sizes)(
  "leaves out what is too long in other ways, and says so, in parts of %i bytes",
  async (size) => {
    let leftOut = 0;
    const bounds = { ...wide, maxLine: 500, onLeftOut: () => leftOut++ };
    const many = JSON.stringify(Array.from({ length: 1000 }, (_, i) => i));
    expect(await pass(`${many}\n"after"\n`, size, bounds)).toEqual(['"after"\n']);
    expect(leftOut).toBe(1);
  },
);

it.each(sizes)("begins anew with each line, in parts of %i bytes", async (size) => {
  const lines = ['{"open', '"\\', '{"id":1}'];
  expect(await pass(`${lines.join("\n")}\n`, size)).toEqual(lines.map((line) => `${line}\n`));
});

it("passes nothing of a line that has no end", async () => {
  expect(await pass('{"id":1}\n{"id":', 4)).toEqual(['{"id":1}\n']);
});
