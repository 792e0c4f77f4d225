/** What a link says: task, text, region and the address of the image, in the part that no server sees. */
import type { TaskToken } from "florence2-webgpu";
import type { Box } from "./engines/engine.ts";
import { isTask } from "./question/catalog.ts";

export interface Shared {
  readonly task?: TaskToken;
  readonly text?: string;
  readonly region?: Box;
  /** Of a sample (`samples/NAME`), or of an image of the web. */
  readonly image?: string;
}

/** Characters of a shared text. */
const MOST_TEXT = 2000;

/** @example writeShared({ task: "<OD>", image: "samples/scene.png" }) // "#task=OD&image=samples%2Fscene.png" */
export function writeShared({ task, text, region, image }: Shared): string {
  const fields = new URLSearchParams();
  if (task) fields.set("task", task.slice(1, -1));
  if (text) fields.set("text", text);
  if (region) fields.set("region", region.map((edge) => Math.round(edge)).join(","));
  if (image) fields.set("image", image);
  return `#${fields}`;
}

/** Reads a link that anyone may have written: what is not of the right form is left out. */
export function readShared(hash: string): Shared {
  const fields = new URLSearchParams(hash.slice(1));
  const task = `<${fields.get("task") ?? ""}>`;
  const text = fields.get("text")?.slice(0, MOST_TEXT);
  const region = fields.get("region")?.split(",").map(Number) ?? [];
  const isRegion = region.length === 4 && region.every((edge) => edge >= 0 && edge <= 1e6);
  const image = fields.get("image") ?? "";
  const isImage = /^samples\/[\w-]+\.(png|jpg)$/.test(image) || /^https?:\/\//.test(image);
  return {
    ...(isTask(task) && { task }),
    ...(text && { text }),
    ...(isRegion && { region: region as unknown as Box }),
    ...(isImage && { image }),
  };
}
