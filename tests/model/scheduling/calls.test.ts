/** Many calls on one model: nothing that a caller does or leaves undone holds up the others. */
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { Florence2, Florence2Error } from "../../../index.ts";
import { DecodingSession } from "../../../model/decoding_session.ts";
import { VisionSession } from "../../../model/vision_session.ts";
import { sameAnswer } from "../../support/close.ts";
import { openVisionPrograms } from "../../support/vision_programs.ts";

const tiny = fileURLToPath(new URL("../../fixtures/flavours/transformers", import.meta.url));
const code = (expected: Florence2Error["code"]) =>
  expect.objectContaining({ name: "Florence2Error", code: expected });
/** Pixels of one colour, of an image that no other call has. */
const image = (value = 77) =>
  ({ data: new Uint8Array(3 * 8 * 8).fill(value), width: 8, height: 8, channels: 3 }) as const;
const SHORT = { numBeams: 1, maxNewTokens: 4 };
const LONG = { numBeams: 1, minNewTokens: 95, maxNewTokens: 96, noRepeatNgramSize: 0 };

/** Resolves when the device has given back what decodings take. */
const idle = (model: Florence2, bytes: number) =>
  vi.waitFor(() => expect(model.memory.bytes).toBe(bytes), 120_000);

describe("calls on one model", () => {
  let model: Florence2;
  let bytes: number;
  beforeAll(async () => {
    model = await Florence2.fromPretrained(tiny, { device: "cpu" });
    await model.run(image(), "<CAPTION>", SHORT);
    await openVisionPrograms(model);
    bytes = model.memory.bytes;
  });
  afterEach(() => {
    vi.restoreAllMocks();
    return idle(model, bytes);
  });
  afterAll(() => model.dispose());

  it("go on when the reader of a stream goes away, which ends by itself", async () => {
    const left = model.stream(image(), "<CAPTION>", LONG);
    await left.next();
    expect((await model.run(image(), "<OCR>", SHORT)).tokens.length).toBe(5);
    await idle(model, bytes);
  });

  it("may be made in the loop over a stream", async () => {
    const alone = await model.run(image(1), "<OCR>", SHORT);
    let parts = 0;
    for await (const { result } of model.stream(image(), "<CAPTION>", { ...SHORT, maxNewTokens: 8 })) {
      expect(await model.run(image(1), "<OCR>", SHORT)).toEqual(sameAnswer(alone));
      parts++;
      if (result) expect(result.tokens.length).toBe(9);
    }
    expect(parts).toBeGreaterThan(4);
  });

  it("may be made in onStep, by more calls than are decoded at a time", async () => {
    const nested = (depth: number): Promise<unknown> => {
      const onStep = () => (depth > 0 ? nested(depth - 1) : undefined) as Promise<void>;
      return model.run(image(), "<CAPTION>", { numBeams: 1, maxNewTokens: 2, onStep });
    };
    await nested(3);
    const inner = () => model.run(image(2), "<OCR>", SHORT).then(() => {});
    const outer = Array.from({ length: 7 }, () =>
      model.run(image(), "<CAPTION>", { ...SHORT, onStep: inner }),
    );
    expect((await Promise.all(outer)).length).toBe(7);
  });

  it("reject at once when aborted while they wait", async () => {
    const order: string[] = [];
    const long = model.run(image(), "<CAPTION>", LONG).then(() => order.push("long"));
    const controller = new AbortController();
    const waiting = model.run(image(), "<OCR>", { ...SHORT, signal: controller.signal });
    const seen = waiting.catch((reason: Error) => order.push(reason.message));
    controller.abort(new Error("enough"));
    await seen;
    expect(order).toEqual(["enough"]);
    await long;
  });

  it("reject before anything is done when the signal is aborted already", async () => {
    const see = vi.spyOn(VisionSession.prototype, "encodeAll");
    const signal = AbortSignal.abort(new Error("before"));
    await expect(model.run(image(), "<OCR>", { signal })).rejects.toThrow("before");
    await expect(model.runBatch([{ image: image(), task: "<OCR>" }], { signal })).rejects.toThrow("before");
    await expect(model.encodeImage(image(), { signal })).rejects.toThrow("before");
    await expect(model.stream(image(), "<OCR>", { signal }).next()).rejects.toThrow("before");
    expect(see).not.toHaveBeenCalled();
  });

  it("reject at once when aborted while the device works for them", async () => {
    const controller = new AbortController();
    const call = model.run(image(), "<CAPTION>", {
      ...LONG,
      signal: controller.signal,
      onStep: () => {
        setTimeout(() => controller.abort(new Error("enough")));
        return new Promise<void>(() => {});
      },
    });
    await expect(call).rejects.toThrow("enough");
  });

  it("are not held up by a long answer", async () => {
    const order: string[] = [];
    const long = model.run(image(), "<CAPTION>", LONG).then(() => order.push("long"));
    const short = model.run(image(), "<OCR>", SHORT).then(() => order.push("short"));
    await Promise.all([long, short]);
    expect(order).toEqual(["short", "long"]);
  });

  it("are answered together where their settings are the same, as alone", async () => {
    const tasks = ["<CAPTION>", "<OD>", "<OCR>"] as const;
    const questions = Array.from({ length: 12 }, (_, i) => [image(20 * i), tasks[i % 3]!] as const);
    const options = (i: number) => ({ ...SHORT, numBeams: i < 9 ? 3 : 1 });
    const alone = [];
    for (const [i, question] of questions.entries()) alone.push(await model.run(...question, options(i)));
    const begun = vi.spyOn(DecodingSession, "open");
    const together = await Promise.all(questions.map((question, i) => model.run(...question, options(i))));
    expect(together).toEqual(sameAnswer(alone));
    expect(begun.mock.calls.length).toBeLessThan(9);
    expect(Math.max(...begun.mock.calls.map(([, , , batch]) => batch.length))).toBeGreaterThan(1);
  });

  it("fail alone when the decoding of one question in a batch fails", async () => {
    const advance = DecodingSession.prototype.advance;
    let broken = 0;
    vi.spyOn(DecodingSession.prototype, "advance").mockImplementation(async function (this: DecodingSession) {
      const steps = await advance.call(this);
      const [rows] = steps;
      if (rows!.length < 2 || broken++ > 0) return steps;
      return steps.map((step) => step.map((row, i) => (i === 1 ? { ...row, brokenToken: 7 } : row)));
    });
    const calls = Array.from({ length: 4 }, (_, i) => model.run(image(20 * i), "<OD>", SHORT));
    const outcomes = await Promise.allSettled(calls);
    expect(broken).toBeGreaterThan(0);
    const failed = outcomes.filter(({ status }) => status === "rejected");
    expect(failed).toEqual([{ status: "rejected", reason: code("non_finite") }]);
  });

  it("are answered in smaller batches where the device has no memory for large ones", async () => {
    const open = vi.spyOn(DecodingSession, "open");
    const none = new Florence2Error("gpu_out_of_memory", "no memory");
    for (let i = 0; i < 5; i++) open.mockRejectedValueOnce(none);
    const small = await Florence2.fromPretrained(tiny, { device: "cpu" });
    const calls = Array.from({ length: 6 }, (_, i) => small.run(image(20 * i), "<OD>", SHORT));
    for (const { tokens } of await Promise.all(calls)) expect(tokens.length).toBe(5);
    expect(open.mock.calls.length).toBeGreaterThan(5);
    small.dispose();
  });

  it("tell that the device has no memory for a single one", async () => {
    const open = vi.spyOn(DecodingSession, "open");
    open.mockRejectedValue(new Florence2Error("gpu_out_of_memory", "no memory"));
    const small = await Florence2.fromPretrained(tiny, { device: "cpu" });
    const calls = [1, 2, 3].map((value) => small.run(image(value), "<OD>", SHORT));
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes).toEqual(calls.map(() => ({ status: "rejected", reason: code("gpu_out_of_memory") })));
    small.dispose();
  });

  it("have images encoded together that wait, as alone", async () => {
    const encode = vi.spyOn(VisionSession.prototype, "encodeAll");
    const alone = [];
    for (let i = 0; i < 8; i++) alone.push(await model.run(image(20 * i), "<OD>", SHORT));
    expect(encode.mock.calls.map(([images]) => images.length)).toEqual(Array(8).fill(1));
    encode.mockClear();
    const together = await Promise.all(alone.map((_, i) => model.run(image(20 * i), "<OD>", SHORT)));
    expect(together).toEqual(sameAnswer(alone));
    const counts = encode.mock.calls.map(([images]) => images.length);
    expect(Math.max(...counts)).toBe(4);
    expect(counts.reduce((sum, count) => sum + count)).toBe(8);
  });

  it("leave an image that is encoded with others when they are aborted", async () => {
    const controllers = Array.from({ length: 8 }, () => new AbortController());
    const calls = controllers.map(({ signal }, i) => model.run(image(i), "<OD>", { ...SHORT, signal }));
    const encode = vi.spyOn(VisionSession.prototype, "encodeAll");
    encode.mockImplementationOnce(async function (this: VisionSession, ...args) {
      for (const controller of controllers.slice(1, 3)) controller.abort(new Error("enough"));
      encode.mockRestore();
      return this.encodeAll(...args);
    });
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.map(({ status }) => status)).toEqual(
      controllers.map((_, i) => (i === 1 || i === 2 ? "rejected" : "fulfilled")),
    );
  });

  it("leave the others unharmed when they are aborted before their question is encoded", async () => {
    const open = DecodingSession.open.bind(DecodingSession);
    const images = await Promise.all([0, 1, 2, 3].map((value) => model.encodeImage(image(value))));
    const alone = [];
    for (const one of images) alone.push(await model.run(one, "<OD>", SHORT));
    const controllers = images.map(() => new AbortController());
    const abort = async () => {
      for (const controller of controllers.slice(1, 3)) controller.abort(new Error("enough"));
      for (const one of images) one.dispose();
      await new Promise((resolve) => setTimeout(resolve, 5));
    };
    vi.spyOn(DecodingSession, "open").mockImplementation(async (...args) => {
      if (args[3].length > 2) await abort();
      return open(...args);
    });
    const calls = images.map((one, i) =>
      model.run(one, "<OD>", { ...SHORT, signal: controllers[i]!.signal }),
    );
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes).toEqual(
      alone.map((value, i) =>
        i === 1 || i === 2
          ? { status: "rejected", reason: new Error("enough") }
          : { status: "fulfilled", value: sameAnswer(value) },
      ),
    );
  });

  it("have images encoded one by one where the device has no memory for several", async () => {
    const small = await Florence2.fromPretrained(tiny, { device: "cpu" });
    const open = VisionSession.open.bind(VisionSession);
    let refused = 0;
    vi.spyOn(VisionSession, "open").mockImplementation(async (...args) => {
      if ((args[4]?.images ?? 1) === 1) return open(...args);
      refused++;
      throw new Florence2Error("gpu_out_of_memory", "no memory");
    });
    const calls = Array.from({ length: 8 }, (_, i) => small.run(image(i), "<OD>", SHORT));
    for (const { tokens } of await Promise.all(calls)) expect(tokens.length).toBe(5);
    expect(refused).toBe(1);
    small.dispose();
  });

  it("look at an image once when they ask about the same one", async () => {
    const png = await import("node:fs/promises").then(({ readFile }) =>
      readFile(new URL("../../../examples/scene.png", import.meta.url)),
    );
    const path = fileURLToPath(new URL("../../../examples/scene.png", import.meta.url));
    const see = vi.spyOn(VisionSession.prototype, "encodeAll");
    for (const same of [png, new Blob([png]), path]) {
      see.mockClear();
      const tasks = ["<CAPTION>", "<OD>", "<OCR>"] as const;
      const answers = await Promise.all(tasks.map((task) => model.run(same, task, SHORT)));
      expect(see).toHaveBeenCalledTimes(1);
      for (const [i, task] of tasks.entries())
        expect(await model.run(same, task, SHORT)).toEqual(sameAnswer(answers[i]));
    }
    // Pixels may change between the calls.
    see.mockClear();
    const pixels = image();
    await Promise.all([model.run(pixels, "<OD>", SHORT), model.run(pixels, "<OCR>", SHORT)]);
    expect(see.mock.calls.flatMap(([images]) => images).length).toBe(2);
  });

  it("copy pixels when they are made", async () => {
    const expected = await model.run(image(7), "<CAPTION>", SHORT);
    const long = model.run(image(), "<CAPTION>", LONG);
    const pixels = image(7);
    const call = model.run(pixels, "<CAPTION>", SHORT);
    pixels.data.fill(200);
    expect(await call).toEqual(sameAnswer(expected));
    await long;
  });

  it("end alone when their onStep throws", async () => {
    const throwing = model.run(image(), "<OD>", {
      ...SHORT,
      onStep: () => {
        throw new Error("mine");
      },
    });
    const other = model.run(image(), "<OD>", SHORT);
    await expect(throwing).rejects.toThrow("mine");
    expect((await other).tokens.length).toBe(5);
  });

  it("tell a bad task and a prompt that is too long before the image is loaded", async () => {
    await expect(model.run("/no/such/file.png", "<OD>", { text: "cat" })).rejects.toEqual(
      code("task_invalid"),
    );
    await expect(model.run("/no/such/file.png", "why ".repeat(5000))).rejects.toEqual(
      code("prompt_too_long"),
    );
  });
});

describe("disposing a model", () => {
  it("ends everything at once: what waits, what is decoded, what is read, what comes later", async () => {
    const model = await Florence2.fromPretrained(tiny, { device: "cpu" });
    const encoded = await model.encodeImage(image());
    const stream = model.stream(image(), "<CAPTION>", LONG);
    await stream.next();
    const calls = [
      model.run(image(), "<CAPTION>", LONG),
      model.run(encoded, "<OCR>", { ...SHORT, onStep: () => new Promise<void>(() => {}) }),
      model.runBatch([{ image: image(), task: "<OD>" }], LONG),
      model.encodeImage(image()),
      ...Array.from({ length: 20 }, (_, i) => model.run(image(i), "<OD>", LONG)),
    ];
    const told = Promise.allSettled(calls);
    await new Promise((resolve) => setTimeout(resolve));
    model.dispose();
    const advance = vi.spyOn(DecodingSession.prototype, "advance");
    expect(await told).toEqual(calls.map(() => ({ status: "rejected", reason: code("disposed") })));
    expect(advance).not.toHaveBeenCalled();
    advance.mockRestore();
    await expect(
      (async () => {
        for await (const part of stream) expect(part.tokens.length).toBeGreaterThan(0);
      })(),
    ).rejects.toEqual(code("disposed"));
    await expect(model.run(image(), "<OD>")).rejects.toEqual(code("disposed"));
    await expect(
      model.forward({ pixelValues: new Float32Array(0), inputIds: [], decoderInputIds: [] }),
    ).rejects.toEqual(code("shape_mismatch"));
    await vi.waitFor(() => expect(model.memory.bytes).toBe(0), 120_000);
  });
});
