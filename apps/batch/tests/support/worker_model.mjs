/**
 * The made-up model of `fake_worker.mjs`, whose answer is the content of the image. FAKE_MS: milliseconds an image. An
 * image "poison..." ends the process. "block..." blocks it for FAKE_BLOCK_MS once.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";

const milliseconds = Number(process.env.FAKE_MS ?? 2);

export const workerModel = {
  async runBatch(items, { signal }) {
    const results = [];
    for (const { image, task } of items) {
      const content = typeof image === "string" ? readFileSync(image, "utf8") : Buffer.from(image).toString();
      if (content.startsWith("poison")) process.kill(process.pid, "SIGKILL");
      if (content.startsWith("block")) blockOnce();
      await wait(milliseconds, undefined, { signal });
      const own = { answer: content, text: content, rawText: content, objects: [], score: -0.5 };
      results.push({ ...own, tokens: [2, 0, 2], finishReason: "stop", width: 8, height: 8, task });
    }
    return results;
  },
  dispose() {},
};

/** As a decoder that does not yield: no lock is renewed meanwhile. */
function blockOnce() {
  const mark = process.env.FAKE_BLOCK_MARK;
  if (mark === undefined || existsSync(mark)) return;
  writeFileSync(mark, "");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(process.env.FAKE_BLOCK_MS));
}
