/** Faults of the CPU engine as a caller of the model sees them: a typed error, and the next model loads and works. */
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Florence2 } from "../../index.ts";
import { florenceError } from "../support/errors.ts";

const NANO = fileURLToPath(new URL("../../checkpoints/nano", import.meta.url));
const IMAGE = `${NANO}/heldout/000.jpg`;
const load = () => Florence2.fromPretrained(NANO, { device: "cpu", threads: 2 });

async function expectAnswer(): Promise<void> {
  const model = await load();
  expect((await model.run(IMAGE, "<CAPTION>")).text).toMatch(/heart/);
  await model.dispose();
}

describe("the CPU engine", () => {
  beforeEach(() => {
    vi.restoreAllMocks();
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await expectAnswer();
  });

  it("whose module does not compile fails to load", async () => {
    vi.spyOn(WebAssembly, "compile").mockRejectedValue(new WebAssembly.CompileError("no code is allowed"));
    await expect(load()).rejects.toEqual(florenceError("cpu_failed", "compiled", "no code is allowed"));
  });

  it("whose memory cannot grow fails the call, says how much it has, and answers when there is more", async () => {
    const model = await load();
    const grow = vi.spyOn(WebAssembly.Memory.prototype, "grow").mockImplementation(() => {
      throw new RangeError("no memory");
    });
    const failed = model.run(IMAGE, "<CAPTION>", { imageSize: 320 });
    await expect(failed).rejects.toEqual(florenceError("cpu_out_of_memory", "MiB", "4096", "dtype"));
    grow.mockRestore();
    expect((await model.run(IMAGE, "<CAPTION>")).text).toMatch(/heart/);
    await model.dispose();
  });

  it("that loses a thread fails the calls in flight, and later ones", async () => {
    const post = vi.spyOn(Worker.prototype, "postMessage");
    const model = await load();
    const running = ["<OD>", "<CAPTION>"].map((task) => model.run(IMAGE, task as "<OD>"));
    post.mockClear();
    await vi.waitUntil(() => post.mock.contexts.length > 0, { timeout: 120_000, interval: 1 });
    void (post.mock.contexts[0] as Worker).terminate();
    for (const { status, ...rest } of await Promise.allSettled(running)) {
      expect(status).toBe("rejected");
      expect(rest).toEqual({ reason: florenceError("cpu_failed", "ended") });
    }
    await expect(model.run(IMAGE, "<OD>")).rejects.toEqual(florenceError("cpu_failed", "ended"));
    await model.dispose();
  });
});
