import { existsSync, readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { Florence2Error, type Result } from "florence2-webgpu";
import type { BatchModel } from "../../chunk/compute.ts";

export interface FakeModel extends BatchModel {
  /** What was asked about, by the content of the images. */
  readonly asked: string[];
}

export interface FakeOptions {
  /** Milliseconds that each image takes. */
  readonly milliseconds?: number;
  /** Called before an image is answered. */
  readonly onImage?: (content: string) => void | Promise<void>;
}

/** A model without a network: an image is a file of text, and the answer says it. `bad...` is a broken image. */
export function fakeModel({ milliseconds = 0, onImage }: FakeOptions = {}): FakeModel {
  const asked: string[] = [];
  return {
    asked,
    async runBatch(items, { signal, onResult }) {
      const results: (Result | Florence2Error)[] = [];
      const add = (result: Result | Florence2Error) => {
        results.push(result);
        onResult?.(result, results.length - 1);
      };
      for (const [i, { image, task, text }] of items.entries()) {
        const content = contentOf(image);
        if (content instanceof Florence2Error) {
          const message = `Item ${i}: ${content.message}`;
          add(new Florence2Error(content.code, message, {}, content));
          continue;
        }
        await onImage?.(content);
        if (milliseconds > 0) await wait(milliseconds, undefined, { signal });
        signal?.throwIfAborted();
        asked.push(content);
        add(answerTo(`${task}${text ?? ""} ${content}`));
      }
      return results;
    },
    dispose() {},
  };
}

function contentOf(image: unknown): string | Florence2Error {
  if (typeof image === "string" && !existsSync(image))
    return new Florence2Error("file_not_found", `${image} is missing.`);
  const bytes = typeof image === "string" ? readFileSync(image) : Buffer.from(image as Uint8Array);
  const content = bytes.toString("utf8");
  return content === "" || content.startsWith("bad")
    ? new Florence2Error("image_corrupt", "The image is broken.")
    : content;
}

function answerTo(text: string): Result {
  const score = -0.123456789 / text.length;
  const objects = [
    { label: "car", box: [1, 2, 30, 40] as const, score: 0.987654321 },
  ] as unknown as Result["objects"];
  const own = { answer: text, objects, text, rawText: `</s><s>${text}</s>`, tokens: [2, 0, 5, 2], score };
  const sequence = { ...own, logProbs: [0, -0.1, -0.2], finishReason: "stop" as const };
  return { ...sequence, width: 64, height: 48, sequences: [sequence] };
}
