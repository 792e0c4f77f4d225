/**
 * The made-up model of `fake_worker.mjs`, whose answer is the content of the image. FAKE_MS: milliseconds an image. An
 * image "poison..." ends the process. "block..." blocks it for FAKE_BLOCK_MS once. "gate..." waits at the gate
 * FAKE_GATE (`gate.ts`). FAKE_LIFE: images after which the process is killed. FAKE_ASKED: a file that lists
 * the images.
 */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";

const milliseconds = Number(process.env.FAKE_MS ?? 2);
let life = Number(process.env.FAKE_LIFE ?? Number.POSITIVE_INFINITY);

export const workerModel = {
  async runBatch(items, { signal, onResult }) {
    const results = [];
    for (const { image, task } of items) {
      const content = typeof image === "string" ? readFileSync(image, "utf8") : Buffer.from(image).toString();
      if (content.startsWith("poison") || --life < 0) process.kill(process.pid, "SIGKILL");
      if (content.startsWith("block")) blockOnce();
      if (process.env.FAKE_ASKED) appendFileSync(process.env.FAKE_ASKED, `${content}\n`);
      if (content.startsWith("gate")) await passGate(signal);
      await wait(milliseconds, undefined, { signal });
      const own = { answer: content, text: content, rawText: content, objects: [], score: -0.5 };
      results.push({ ...own, tokens: [2, 0, 2], finishReason: "stop", width: 8, height: 8, task });
      onResult?.(results.at(-1), results.length - 1);
    }
    return results;
  },
  dispose() {},
};

/** Says that it is there, and waits until it may go on. */
export async function passGate(signal) {
  const gate = process.env.FAKE_GATE;
  if (gate === undefined) return;
  writeFileSync(`${gate}.reached`, "");
  while (!existsSync(`${gate}.open`)) await wait(20, undefined, { signal });
}

/** As a decoder that does not yield: no lock is renewed meanwhile. */
function blockOnce() {
  const mark = process.env.FAKE_BLOCK_MARK;
  if (mark === undefined || existsSync(mark)) return;
  writeFileSync(mark, "");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(process.env.FAKE_BLOCK_MS));
}
