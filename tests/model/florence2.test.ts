import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  defineTask,
  Florence2,
  type Florence2Error,
  type ProgressEvent,
  parseText,
  type StreamPart,
} from "../../index.ts";
import { gpuMissing } from "../support/gpu.ts";

const nano = fileURLToPath(new URL("../../checkpoints/nano/", import.meta.url));
const heldOut = (index: number) => `${nano}heldout/${String(index).padStart(3, "0")}.jpg`;
const code = (expected: Florence2Error["code"]) =>
  expect.objectContaining({ name: "Florence2Error", code: expected });

/** An answer as an object, its confidences apart from what it says. */
function partsOf(answer: string | { scores?: number[] }): { scores?: number[] } & Record<string, unknown> {
  return typeof answer === "string" ? { text: answer } : { ...answer };
}

describe(`the bundled checkpoint on the ${gpuMissing ? "CPU" : "GPU"}`, () => {
  let model: Florence2;
  const events: ProgressEvent[] = [];

  beforeAll(async () => {
    model = await Florence2.fromPretrained(nano, {
      onProgress: (event) => events.push(event),
      onWarning: () => {},
    });
  });
  afterAll(() => model.dispose());

  it("reports its loading, monotonously and to the end", () => {
    const loaded = events.flatMap((event) => (event.status === "load" ? [event] : []));
    expect(loaded.length).toBeGreaterThan(10);
    expect(loaded.every(({ loaded: now }, i) => i === 0 || now > loaded[i - 1]!.loaded)).toBe(true);
    expect(loaded.at(-1)).toMatchObject({ progress: 100 });
    expect(events.at(-1)).toEqual({ status: "ready", device: model.device.name });
  });

  it("gives typed answers", async () => {
    const caption = await model.run(heldOut(0), "<CAPTION>");
    const text: string = caption.answer;
    expect(text).toMatch(/\w+/);
    expect(caption.rawText).toMatch(/^<\/s><s>.*<\/s>$/);
    expect(caption.text).toBe(text);
    expect(caption.rawText).toContain(text);
    expect(caption.objects).toEqual([]);
    expect(caption.tokens.length).toBe(caption.logProbs.length + 1);

    const { answer, width, height } = await model.run(heldOut(0), "<OD>");
    expect(answer.labels.length).toBe(answer.bboxes.length);
    for (const [x1, y1, x2, y2] of answer.bboxes) {
      expect(0 <= x1! && x1! <= x2! && x2! <= width && 0 <= y1! && y1! <= y2! && y2! <= height).toBe(true);
    }
    for (const score of answer.scores!) expect(score > 0 && score <= 1).toBe(true);
  });

  it("gives objects beside the arrays, and clean text", async () => {
    const od = await model.run(heldOut(0), "<OD>");
    expect(od.objects).toEqual(
      od.answer.bboxes.map((box, i) => ({ label: od.answer.labels[i], box, score: od.answer.scores![i] })),
    );
    expect(od.text).toBe(od.answer.labels.join("\n"));
    const [object] = od.objects;
    const { answer, text, rawText } = await model.run(heldOut(0), "<REGION_TO_CATEGORY>", {
      region: object!.box,
    });
    expect(text).toBe(answer);
    expect(rawText).toContain("<loc_");
    expect(answer).not.toContain("<");
    const exact = await model.run(heldOut(0), "<REGION_TO_CATEGORY>", {
      region: od.answer.bboxes[0]!,
      labels: "microsoft",
    });
    expect(exact.answer).toBe(rawText.replaceAll(/<\/?s>/g, ""));
    expect(exact.text).toBe(text);
  });

  it("answers a list of texts together, and as one by one", async () => {
    const texts = ["a dog", "a boat", "a sign"];
    const task = "<OPEN_VOCABULARY_DETECTION>";
    const whole = await model.run(heldOut(0), task, { text: texts });
    const alone = [];
    for (const text of texts) alone.push(await model.run(heldOut(0), task, { text }));
    expect(whole.answer.bboxes).toEqual(alone.flatMap(({ answer }) => answer.bboxes));
    expect(whole.answer.bboxes_labels).toEqual(
      alone.flatMap(({ answer }, i) => answer.bboxes.map(() => texts[i])),
    );
    expect(whole.objects.map(({ label }) => label)).toEqual(whole.answer.bboxes_labels);
    expect(whole.sequences.map(({ tokens }) => tokens)).toEqual(alone.map(({ tokens }) => tokens));
    expect(whole.tokens).toEqual(alone.flatMap(({ tokens }) => tokens));
    const [listed] = await model.runBatch([{ image: heldOut(0), task, text: ["a dog"] }]);
    expect(listed!.answer.bboxes_labels).toEqual(alone[0]!.answer.bboxes.map(() => "a dog"));
  });

  it("asks tags and tasks that are not among the fifteen", async () => {
    const words = defineTask({
      token: "<GENERATE_TAGS>",
      parse: (generated, context) => parseText(generated, context).split(" "),
    });
    const bare = await model.run(heldOut(0), "<GENERATE_TAGS>", { maxNewTokens: 8 });
    const own = await model.run(heldOut(0), words, { maxNewTokens: 8 });
    expect(own.tokens).toEqual(bare.tokens);
    const answer: string[] = own.answer;
    expect(answer).toEqual(bare.text.split(" "));
    const [batched] = await model.runBatch([{ image: heldOut(0), task: words }], { maxNewTokens: 8 });
    expect(batched!.answer).toEqual(answer);
  });

  it("gives the same answer for an image by path, bytes, Blob, pixels and encoded", async () => {
    const { readFile } = await import("node:fs/promises");
    const { loadImage } = await import("../../index.ts");
    const bytes = new Uint8Array(await readFile(heldOut(1)));
    const expected = await model.run(heldOut(1), "<CAPTION>");
    const encoded = await model.encodeImage(bytes);
    const raw = { ...(await loadImage(bytes)), channels: 3 as const };
    for (const input of [bytes, new Blob([bytes]), raw, encoded]) {
      expect(await model.run(input, "<CAPTION>")).toEqual(expected);
    }
    encoded.dispose();
  });

  it("answers batches of images and prompts as one by one", async () => {
    const items = (["<CAPTION>", "<OD>", "<OCR>"] as const).flatMap((task) =>
      [2, 3, 4].map((index) => ({ image: heldOut(index), task })),
    );
    const together = await model.runBatch(items);
    for (const [i, { image, task }] of items.entries()) {
      const [found, alone] = [together[i]!, await model.run(image, task)];
      expect(found.tokens).toEqual(alone.tokens);
      expect(found.rawText).toBe(alone.rawText);
      // Sums run in another order with more rows: equal words and boxes, probabilities to single precision.
      expect(found.score).toBeCloseTo(alone.score, 4);
      const [{ scores, ...places }, { scores: expected, ...placesAlone }] = [
        partsOf(found.answer),
        partsOf(alone.answer),
      ];
      expect(places).toEqual(placesAlone);
      for (const [k, score] of (scores ?? []).entries()) expect(score).toBeCloseTo(expected![k]!, 4);
    }
  });

  it.each([1, 3])("streams with %i beams what it would answer at once", async (numBeams) => {
    const whole = await model.run(heldOut(5), "<OD>", { numBeams });
    const parts: StreamPart<typeof whole.answer>[] = [];
    for await (const part of model.stream(heldOut(5), "<OD>", { numBeams })) parts.push(part);
    expect(parts.length).toBeGreaterThan(1);
    expect(parts.flatMap(({ tokens }) => tokens)).toEqual(whole.tokens.slice(1));
    expect(`</s><s>${parts.map(({ rawText }) => rawText).join("")}</s>`).toBe(whole.rawText);
    expect(parts.map(({ text }) => text).join("")).toBe(whole.rawText.replaceAll(/<[^>]*>/g, ""));
    expect(parts.at(-1)!.result).toEqual(whole);
  });

  it("frees everything when a stream is left early, and the next call works", async () => {
    const { bytes } = model.memory;
    for await (const part of model.stream(heldOut(5), "<OD>")) {
      expect(part.tokens.length).toBeGreaterThan(0);
      break;
    }
    expect(model.memory.bytes).toBe(bytes);
    expect((await model.run(heldOut(5), "<CAPTION>")).answer).toMatch(/\w+/);
  });

  it("lets calls at the same time wait for each other", async () => {
    const alone = await model.run(heldOut(6), "<CAPTION>");
    const [first, second, failed] = await Promise.allSettled([
      model.run(heldOut(6), "<CAPTION>"),
      model.run(heldOut(6), "<CAPTION>"),
      model.run(heldOut(6), "OD"),
    ]);
    expect(first).toEqual({ status: "fulfilled", value: alone });
    expect(second).toEqual({ status: "fulfilled", value: alone });
    expect(failed).toMatchObject({ status: "rejected", reason: { code: "task_invalid" } });
  });

  it("samples by seed", async () => {
    const sampled = (seed: number) =>
      model.run(heldOut(7), "<CAPTION>", { numBeams: 1, doSample: true, temperature: 3, seed });
    const [once, again] = [await sampled(1), await sampled(1)];
    expect(again).toEqual(once);
    const others = await Promise.all([2, 3, 4].map(sampled));
    expect(others.some(({ text }) => text !== once.text)).toBe(true);
  });

  it("returns several sequences, best first", async () => {
    const { sequences, tokens, score } = await model.run(heldOut(8), "<CAPTION>", { numReturnSequences: 3 });
    expect(sequences.length).toBe(3);
    expect(sequences[0]).toMatchObject({ tokens, score });
    expect(sequences.map((sequence) => sequence.score)).toEqual(
      sequences.map((sequence) => sequence.score).sort((a, b) => b - a),
    );
  });

  it("says when an answer was cut", async () => {
    const cut = await model.run(heldOut(8), "<OD>", { maxNewTokens: 4 });
    expect(cut.finishReason).toBe("length");
    expect(cut.tokens.length).toBe(5);
  });

  it.each([
    ["a task without brackets", () => model.run(heldOut(0), "OD"), "task_invalid"],
    ["a text too many", () => model.run(heldOut(0), "<OD>", { text: "cat" }), "task_invalid"],
    // @ts-expect-error: the compiler refuses it, too
    ["a missing text", () => model.run(heldOut(0), "<CAPTION_TO_PHRASE_GROUNDING>"), "task_invalid"],
    [
      "a list of captions",
      () => model.run(heldOut(0), "<CAPTION_TO_PHRASE_GROUNDING>", { text: ["a", "b"] }),
      "task_invalid",
    ],
    [
      "an empty list",
      () => model.run(heldOut(0), "<OPEN_VOCABULARY_DETECTION>", { text: [] }),
      "task_invalid",
    ],
    [
      "a region outside the image",
      () => model.run(heldOut(0), "<REGION_TO_CATEGORY>", { region: [5000, 5000, 6000, 6000] }),
      "task_invalid",
    ],
    [
      "an option of Python",
      () => model.run(heldOut(0), "<OD>", { num_beams: 1 } as object),
      "option_invalid",
    ],
    ["a missing image", () => model.run("/no/such/image.png", "<OD>"), "file_not_found"],
    ["no image", () => model.run(new Uint8Array([1, 2, 3]), "<OD>"), "image_unsupported"],
    ["too many beams", () => model.run(heldOut(0), "<OD>", { numBeams: 1000 }), "option_invalid"],
    ["half a token", () => model.run(heldOut(0), "<OD>", { maxNewTokens: 1.5 }), "option_invalid"],
    ["a prompt that is too long", () => model.run(heldOut(0), "why ".repeat(5000)), "prompt_too_long"],
  ] as const)("refuses %s, keeps no memory and goes on", async (_, call, expected) => {
    const { bytes } = model.memory;
    await expect(call()).rejects.toEqual(code(expected));
    expect(model.memory.bytes).toBe(bytes);
  });

  it("stops at the next step when aborted", async () => {
    const controller = new AbortController();
    let steps = 0;
    const call = model.run(heldOut(0), "<OD>", {
      signal: controller.signal,
      onStep: () => {
        steps++;
        controller.abort(new Error("enough"));
      },
    });
    await expect(call).rejects.toThrow("enough");
    expect(steps).toBe(1);
    expect((await model.run(heldOut(0), "<CAPTION>")).answer).toMatch(/\w+/);
  });
});

describe("loading", () => {
  it("can be aborted", async () => {
    const controller = new AbortController();
    const call = Florence2.fromPretrained(nano, {
      device: "cpu",
      signal: controller.signal,
      onProgress: () => controller.abort(new Error("enough")),
    });
    await expect(call).rejects.toThrow("enough");
  });

  it.each([
    ["a folder that is not there", () => Florence2.fromPretrained("/no/such/folder"), "file_not_found"],
    ["an unknown dtype", () => Florence2.fromPretrained(nano, { dtype: "f8" as "f32" }), "option_invalid"],
    ["an unknown device", () => Florence2.fromPretrained(nano, { device: "tpu" as "gpu" }), "option_invalid"],
  ] as const)("refuses %s", async (_, call, expected) => {
    await expect(call()).rejects.toEqual(code(expected));
  });

  it("gives everything back, and refuses calls afterwards", async () => {
    const model = await Florence2.fromPretrained(nano, { onWarning: () => {} });
    await model.run(heldOut(0), "<CAPTION>", { maxNewTokens: 3 });
    model.dispose();
    model.dispose();
    expect(model.memory.bytes).toBe(0);
    await expect(model.run(heldOut(0), "<CAPTION>")).rejects.toEqual(code("disposed"));
  });

  it("takes files by name as well as a folder", async () => {
    const { readdir, readFile } = await import("node:fs/promises");
    const files: Record<string, Uint8Array<ArrayBuffer>> = {};
    for (const name of await readdir(nano)) {
      if (/\.(json|safetensors|txt)$/.test(name))
        files[name] = new Uint8Array(await readFile(`${nano}${name}`));
    }
    const [byName, byFolder] = await Promise.all([
      Florence2.fromPretrained(files, { onWarning: () => {} }),
      Florence2.fromPretrained(nano, { onWarning: () => {} }),
    ]);
    expect(await byName.run(heldOut(0), "<CAPTION>")).toEqual(await byFolder.run(heldOut(0), "<CAPTION>"));
    byName.dispose();
    byFolder.dispose();
  });
});
