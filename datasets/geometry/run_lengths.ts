// COCO's run-length encoding of masks: column after column, runs of 0 and 1 in turn, zeros first.

import type { ImageSize } from "./masks.ts";

/** As COCO's JSON has it: `size` is height, width; `counts` a list of runs, or pycocotools' text. */
export interface RunLengths {
  readonly size: readonly [height: number, width: number];
  readonly counts: readonly number[] | string;
}

/** Runs of a mask as `rasterize` gives it, column after column: 0 0 1 → [2, 1]. */
export function runsOf(mask: Uint8Array): number[] {
  const runs: number[] = [];
  let [value, length] = [0, 0];
  for (const pixel of mask) {
    if (pixel !== value) {
      runs.push(length);
      [value, length] = [pixel, 0];
    }
    length++;
  }
  return [...runs, length];
}

/** A mask as COCO's JSON has it, with pycocotools' text. */
export function encodeMask(mask: Uint8Array, { width, height }: ImageSize): RunLengths {
  return { size: [height, width], counts: runsToText(runsOf(mask)) };
}

/** The mask, column after column, one byte a pixel. */
export function decodeMask({ size, counts }: RunLengths): Uint8Array {
  const mask = new Uint8Array(size[0] * size[1]);
  const runs = typeof counts === "string" ? textToRuns(counts) : counts;
  let at = 0;
  for (const [i, run] of runs.entries()) {
    mask.fill(i % 2, at, at + run);
    at += run;
  }
  return mask;
}

export function maskArea(mask: Uint8Array): number {
  return mask.reduce((sum, pixel) => sum + pixel, 0);
}

/**
 * pycocotools' text of runs: from the fourth on, each run is written as its difference from the one two before;
 * five bits a character from the low end, 32 added while more follow, the lowest character is the digit 0 (rleToString in
 * maskApi.c): [2, 1] → "21".
 */
export function runsToText(runs: readonly number[]): string {
  const characters = runs.flatMap((run, i) => {
    let value = i > 2 ? run - runs[i - 2]! : run;
    const own: number[] = [];
    for (let more = true; more; ) {
      const bits = value & 31;
      value >>= 5;
      more = bits & 16 ? value !== -1 : value !== 0;
      own.push(48 + bits + (more ? 32 : 0));
    }
    return own;
  });
  return characters.map((code) => String.fromCharCode(code)).join("");
}

/** The runs of pycocotools' text: "21" → [2, 1]. */
export function textToRuns(text: string): number[] {
  const runs: number[] = [];
  for (let at = 0; at < text.length; ) {
    let [value, shift, more] = [0, 0, true];
    while (more && at < text.length) {
      const bits = text.charCodeAt(at++) - 48;
      value |= (bits & 31) << shift;
      shift += 5;
      more = (bits & 32) !== 0;
      if (!more && bits & 16) value |= -1 << shift;
    }
    runs.push(runs.length > 2 ? value + runs.at(-2)! : value);
  }
  return runs;
}
