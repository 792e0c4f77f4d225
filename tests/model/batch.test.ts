/** `runBatch`: errors name their item, finished results are kept, and images are loaded ahead. */
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { Florence2, Florence2Error, type ImageInput, type StepReport } from "../../index.ts";
import { sameAnswer } from "../support/close.ts";
import { openVisionPrograms } from "../support/vision_programs.ts";

const tiny = fileURLToPath(new URL("../fixtures/flavours/transformers", import.meta.url));
const scene = new URL("../../examples/scene.png", import.meta.url);
const image = (value: number) =>
  ({ data: new Uint8Array(3 * 8 * 8).fill(value), width: 8, height: 8, channels: 3 }) as const;
const SHORT = { numBeams: 1, maxNewTokens: 4 };

describe("a batch", () => {
  let model: Florence2;
  let bytes: number;
  beforeAll(async () => {
    model = await Florence2.fromPretrained(tiny, { device: "cpu" });
    await model.run(image(0), "<CAPTION>", SHORT);
    await openVisionPrograms(model);
    bytes = model.memory.bytes;
  });
  afterEach(() => vi.waitFor(() => expect(model.memory.bytes).toBe(bytes), 120_000));
  afterAll(() => model.dispose());

  const items = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ image: image(10 * i), task: "<OD>" as const }));
  const withBadItem = () => {
    const all: { image: ImageInput; task: "<OD>" }[] = items(18);
    all[16] = { image: "/no/such/photo.jpg", task: "<OD>" };
    return all;
  };

  it("is empty for no items", async () => {
    expect(await model.runBatch([])).toEqual([]);
  });

  it("answers more items than are decoded at a time, each as alone, in their order", async () => {
    const results = await model.runBatch(items(19), SHORT);
    for (const [i, result] of results.entries())
      expect(result).toEqual(sameAnswer(await model.run(image(10 * i), "<OD>", SHORT)));
  });

  it("with onError return gives every answer, and the error in its item's place", async () => {
    const results = await model.runBatch(withBadItem(), { ...SHORT, onError: "return" });
    expect(results.length).toBe(18);
    for (const [i, result] of results.entries()) {
      if (i !== 16) expect(result).toMatchObject({ width: 8, finishReason: "length" });
    }
    const error = results[16] as Florence2Error;
    expect(error).toBeInstanceOf(Florence2Error);
    expect(error).toMatchObject({
      code: "file_not_found",
      details: { index: 16, file: "/no/such/photo.jpg" },
      cause: { code: "file_not_found" },
    });
    expect(error.message).toMatch(/^Item 16 \(\/no\/such\/photo\.jpg\): /);
  });

  it("else ends with the error of the item, which carries what was done", async () => {
    const error = await model.runBatch(withBadItem(), SHORT).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: "file_not_found",
      details: { index: 16, file: "/no/such/photo.jpg" },
    });
    const { results } = (error as Florence2Error).details as { results: ({ width: number } | undefined)[] };
    expect(results.length).toBe(18);
    expect(results[16]).toBeUndefined();
    expect(results.filter((result) => result?.width === 8).length).toBeGreaterThanOrEqual(8);
  });

  it.each([
    ["task", { task: "<OD>", text: "cat" }, "task_invalid"],
    ["prompt", { task: "why ".repeat(5000) }, "prompt_too_long"],
  ] as const)("names an item with a bad %s", async (_, bad, code) => {
    const all = [...items(2), { image: image(0), ...bad }];
    const [first, second, error] = await model.runBatch(all, { ...SHORT, onError: "return" });
    expect([first, second]).toMatchObject([{ width: 8 }, { width: 8 }]);
    expect(error).toMatchObject({ code, details: { index: 2 } });
    await expect(model.runBatch(all, SHORT)).rejects.toMatchObject({ code, details: { index: 2 } });
  });

  it("names no credentials of a URL", async () => {
    const url = "http://user:secret@127.0.0.1:9/photo.jpg?token=secret";
    const error = await model
      .runBatch([{ image: url, task: "<OD>" }], SHORT)
      .catch((reason: Error) => reason);
    expect((error as Error).message).toContain("127.0.0.1:9/photo.jpg");
    expect((error as Error).message).not.toContain("secret");
  });

  it("ends with what onStep throws, and with the signal's reason, unchanged", async () => {
    const reason = new Error("mine");
    const onStep = () => Promise.reject(reason);
    await expect(model.runBatch(items(3), { ...SHORT, onStep, onError: "return" })).rejects.toBe(reason);
    const controller = new AbortController();
    const abort = () => controller.abort(reason);
    const aborted = model.runBatch(items(3), { ...SHORT, onStep: abort, signal: controller.signal });
    await expect(aborted).rejects.toBe(reason);
  });

  it("reports its steps by the items' own numbers", async () => {
    const seen = new Set<number>();
    const onStep = ({ decided }: StepReport) => {
      for (const { image } of decided) seen.add(image);
    };
    await model.runBatch(items(11), { ...SHORT, onStep });
    expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: 11 }, (_, i) => i));
  });

  it("tells each result as soon as it is there, eight at a time", async () => {
    const told: number[] = [];
    const seen = new Map<number, unknown>();
    const onResult = (result: unknown, index: number) => {
      told.push(index);
      seen.set(index, result);
    };
    const results = await model.runBatch(withBadItem(), { ...SHORT, onError: "return", onResult });
    expect(told.filter((index) => index !== 16).map((index) => Math.floor(index / 8))).toEqual([
      0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2,
    ]);
    for (const [index, result] of results.entries()) expect(seen.get(index)).toEqual(result);
  });

  it.each([
    ["an error", new Error("mine")],
    ["an error of the library's kind", new Florence2Error("data_invalid", "mine")],
  ])("ends with what onResult throws, %s", async (_, reason) => {
    const onResult = () => {
      throw reason;
    };
    const ended = model.runBatch(items(11), { ...SHORT, onError: "return", onResult });
    await expect(ended).rejects.toBe(reason);
  });

  it("loads images while others are answered, and few ahead", async () => {
    const bytesOfScene = await import("node:fs/promises").then(({ readFile }) => readFile(scene));
    let read = 0;
    class Counted extends Blob {
      override arrayBuffer() {
        read++;
        return super.arrayBuffer();
      }
      override slice(...range: Parameters<Blob["slice"]>) {
        if (!range[0]) read++;
        return super.slice(...range);
      }
    }
    const all = Array.from({ length: 40 }, () => ({
      image: new Counted([bytesOfScene]),
      task: "<OD>" as const,
    }));
    const readAtStep: number[] = [];
    const onStep = ({ step }: StepReport) => {
      if (step === 3) readAtStep.push(read);
    };
    await model.runBatch(all, { ...SHORT, onStep });
    expect(read).toBeGreaterThanOrEqual(40);
    const perImage = read / 40;
    expect(readAtStep.length).toBe(5);
    for (const [group, count] of readAtStep.entries()) {
      expect(count).toBeGreaterThan(8 * (group + 1) * perImage - 1);
      expect(count).toBeLessThanOrEqual(Math.min(8 * (group + 2), 40) * perImage);
    }
    expect(readAtStep[0]).toBeGreaterThan(8 * perImage);
  });
});
