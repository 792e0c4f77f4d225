import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { Florence2, type Florence2Error } from "../../index.ts";
import { sameAnswer } from "../support/close.ts";

const tiny = fileURLToPath(new URL("../fixtures/flavours/transformers", import.meta.url));
const code = (expected: Florence2Error["code"]) =>
  expect.objectContaining({ name: "Florence2Error", code: expected });
const image = { data: new Uint8Array(3 * 8 * 8).fill(77), width: 8, height: 8, channels: 3 } as const;
const SHORT = { numBeams: 1, maxNewTokens: 4 };

describe("an encoded image", () => {
  let model: Florence2;
  let bytes: number;
  beforeAll(async () => {
    model = await Florence2.fromPretrained(tiny, { device: "cpu" });
    await model.run(image, "<CAPTION>", SHORT);
    bytes = model.memory.bytes;
  });
  afterEach(() => expect(model.memory.bytes).toBe(bytes));
  afterAll(() => model.dispose());

  it("is refused by name when another model encoded it", async () => {
    const other = await Florence2.fromPretrained(tiny, { device: "cpu" });
    const theirs = await other.encodeImage(image);
    const error = await model.run(theirs, "<CAPTION>", SHORT).catch((reason: Error) => reason);
    expect(error).toEqual(code("image_invalid"));
    expect((error as Error).message).toContain("another model");
    expect((await other.run(theirs, "<CAPTION>", SHORT)).tokens.length).toBe(5);
    other.dispose();
  });

  it("serves the questions that were asked before it was disposed, and none after", async () => {
    const expected = await model.run(image, "<CAPTION>", SHORT);
    const encoded = await model.encodeImage(image);
    const asked = [1, 2, 3].map(() => model.run(encoded, "<CAPTION>", SHORT));
    encoded.dispose();
    encoded.dispose();
    expect(await Promise.all(asked)).toEqual(sameAnswer([expected, expected, expected]));
    await expect(model.run(encoded, "<CAPTION>", SHORT)).rejects.toEqual(code("disposed"));
  });

  it("is given back when a question about it is refused", async () => {
    const encoded = await model.encodeImage(image);
    await expect(model.run(encoded, "<CAPTION>", { text: "cat" })).rejects.toEqual(code("task_invalid"));
    encoded.dispose();
  });

  it("is not left on the device by a call that was aborted", async () => {
    const controller = new AbortController();
    const call = model.encodeImage(image, { signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")));
    await call.then(
      (encoded) => encoded.dispose(),
      (reason: Error) => expect(reason.message).toBe("enough"),
    );
    await vi.waitFor(() => expect(model.memory.bytes).toBe(bytes), 120_000);
  });
});

describe("using", () => {
  it("disposes images and models, with the symbol that the runtime or its compiler has", async () => {
    const model = await Florence2.fromPretrained(tiny, { device: "cpu" });
    const encoded = await model.encodeImage(image);
    encoded[Symbol.dispose]();
    await expect(model.run(encoded, "<CAPTION>", SHORT)).rejects.toEqual(code("disposed"));
    model[Symbol.dispose]();
    expect(model.memory.bytes).toBe(0);
  });

  it("works where the runtime has no such symbol", async () => {
    const { makeDisposable } = await import("../../model/disposable.ts");
    class Held {
      disposed = 0;
      dispose() {
        this.disposed++;
      }
    }
    const held = new Held();
    vi.stubGlobal("Symbol", { for: Symbol.for });
    makeDisposable(Held);
    vi.unstubAllGlobals();
    (held as unknown as Record<symbol, () => void>)[Symbol.for("Symbol.dispose")]!();
    expect(held.disposed).toBe(1);
  });
});
