/** A new folder with five images before each test of the file that imports this. Commands write beside them. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import { drawGrey } from "./made_up_model.ts";

/** Two of one name, a space, other letters, capitals in the ending: names that get lost elsewhere. */
export const FILES = ["a.png", "b/a.png", "b/c d/käse.PNG", "e.jpg", "f.webp"];

export let root: string;
/** The folder of the images, below the root. */
export let images: string;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "florence2-folders-"));
  images = join(root, "images");
  for (const [i, file] of FILES.entries()) await draw(file, i);
});
afterEach(() => rmSync(root, { recursive: true }));

export const draw = (file: string, index: number, orientation?: number) =>
  drawGrey(join(images, file), index, orientation);
export const json = (...path: string[]) => JSON.parse(readFileSync(join(root, ...path), "utf8"));
export const text = (...path: string[]) => readFileSync(join(root, ...path), "utf8");
export const out = (name: string) => join(root, name);
export const quiet = ["--progress", "none"];
