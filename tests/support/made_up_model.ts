/** A folder of images, and a model that knows them by their level of grey: for tests of commands over folders. */
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import sharp from "sharp";
import type { FolderModel } from "../../commands/folders/run_folder.ts";
import { type ErrorCode, Florence2Error } from "../../core/errors.ts";

export const [WIDTH, HEIGHT] = [60, 40];

/** An image that the made-up model knows by its level of grey; EXIF turns it if asked. */
export async function drawGrey(path: string, index: number, orientation?: number): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  const grey = 10 * index + 5;
  const isTurned = orientation !== undefined && orientation > 4;
  const [width, height] = isTurned ? [HEIGHT, WIDTH] : [WIDTH, HEIGHT];
  const background = { r: grey, g: grey, b: grey };
  const image = sharp({ create: { width, height, channels: 3, background } });
  await (orientation ? image.withMetadata({ orientation }) : image).toFile(path);
}

export interface MadeUp {
  readonly model: () => Promise<FolderModel>;
  /** What was asked: index of the image, task, text. */
  readonly asked: string[];
  readonly held: () => number;
}

/**
 * Answers by the level of grey of an image. Boxes lie at 5 + index; fails for good when `patience` answers are given.
 */
export function madeUp({
  patience = Number.POSITIVE_INFINITY,
  refuse = "",
  refusal = "prompt_too_long" as ErrorCode,
} = {}): MadeUp {
  const asked: string[] = [];
  let held = 0;
  const model = {
    device: { kind: "cpu", name: "made up" },
    async encodeImage({ data, width, height }: { data: Uint8Array; width: number; height: number }) {
      held++;
      return { width, height, index: Math.floor(data[0]! / 10), dispose: () => held-- };
    },
    async runBatch(
      items: {
        image: { index: number; width: number; height: number };
        task: string;
        text?: string;
        region?: object;
      }[],
    ) {
      if (asked.length + items.length > patience) throw new Error("pulled the plug");
      return items.map(({ image, task, text, region }) => {
        const { index, width, height } = image;
        if (text === refuse) throw new Florence2Error(refusal, "too long", {});
        asked.push([index, task, text].filter((part) => part !== undefined).join(" "));
        return { ...answer(index, task, text, region), width, height };
      });
    },
    dispose() {},
  };
  return { model: async () => model as unknown as FolderModel, asked, held: () => held };
}

function answer(index: number, task: string, text = "thing", region?: object) {
  const shared = { tokens: [2, 0, index, 2], score: -1, logProbs: [], finishReason: "stop", sequences: [] };
  if (task.endsWith("CAPTION>") || task === "<OCR>" || /REGION_TO_(CAT|DESC|OCR)/.test(task)) {
    const words = `The image shows thing ${index}.`;
    return { ...shared, answer: words, objects: [], text: words, rawText: `</s>${words}</s>` };
  }
  const box = [5 + index, 5, 25 + index, 25] as const;
  const shape =
    task === "<OCR_WITH_REGION>"
      ? { quad: [box[0], 5, box[2], 5, box[2], 25, box[0], 25] }
      : task === "<REGION_TO_SEGMENTATION>"
        ? { polygons: [[box[0], 5, box[2], 5, box[0], 25]] }
        : {};
  const objects = [
    {
      label: task === "<OCR_WITH_REGION>" ? `line ${index}` : region ? "" : text,
      box,
      score: 0.96,
      ...shape,
    },
    ...(task === "<OPEN_VOCABULARY_DETECTION>"
      ? [{ label: "another", box: [0, 0, 10, 10], score: 0.96 }]
      : []),
  ];
  return { ...shared, answer: { objects: index }, objects, text, rawText: "" };
}

/** All files below a folder with their content. */
export function contentOf(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const named = files.map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    named.sort().map((file) => [file.slice(folder.length + 1), readFileSync(file).toString("base64")]),
  );
}
