/** Files shipped with the commands: the bundled checkpoint, its held-out images, the scene of the demonstration. */
import { readFileSync } from "node:fs";
import { packageFile } from "../files/package_files.ts";

export const BUNDLED_MODEL = packageFile("checkpoints/nano");
/** Questions and answers about its held-out images; in a checkout only. */
export const BUNDLED_DATA = packageFile("checkpoints/nano/heldout/truth.jsonl");
export const BUNDLED_IMAGE = packageFile("examples/scene.png");

/** The version of this library. */
export function version(): string {
  return JSON.parse(readFileSync(packageFile("package.json"), "utf8")).version;
}

/** Released models by short names, and what a first use downloads. */
export const RELEASED = {
  base: { id: "microsoft/Florence-2-base", download: "0.5 GB" },
  large: { id: "microsoft/Florence-2-large", download: "1.6 GB" },
  "base-ft": { id: "microsoft/Florence-2-base-ft", download: "0.5 GB" },
  "large-ft": { id: "microsoft/Florence-2-large-ft", download: "1.6 GB" },
} as const;
