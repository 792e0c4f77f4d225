/** What a model leaves behind when it is disposed: nothing, however often. */
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { openRunner } from "../../core/device.ts";
import type { GpuRunner } from "../../core/gpu/gpu_runner.ts";
import type { Runner } from "../../core/runner.ts";
import { Florence2 } from "../../index.ts";
import { gpuMissing, openTestGpu } from "../support/gpu.ts";

const tiny = fileURLToPath(new URL("../fixtures/flavours/transformers", import.meta.url));
const image = { data: new Uint8Array(3 * 8 * 8).fill(77), width: 8, height: 8, channels: 3 } as const;
const ROUNDS = 500;
/** Rounds until everything that is made once has been made. */
const WARM = 200;
/** Bytes that may stay for each round after these: a leaked buffer or recording is larger. */
const RESIDENT = 24 * 2 ** 10;
const HEAP = 6 * 2 ** 10;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Bytes without what is only waiting to be collected: of the process, and of objects of JavaScript. */
async function memory(): Promise<{ resident: number; heap: number }> {
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { rss, heapUsed } = process.memoryUsage();
  return { resident: rss, heap: heapUsed };
}

/** Makes a device count the bytes of all buffers that live on it. */
function counted({ device }: GpuRunner): () => number {
  let bytes = 0;
  const create = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    const buffer = create(descriptor);
    bytes += buffer.size;
    const destroy = buffer.destroy.bind(buffer);
    buffer.destroy = () => {
      bytes -= buffer.size;
      destroy();
    };
    return buffer;
  };
  return () => bytes;
}

async function round(device: GPUDevice | "gpu" | "cpu"): Promise<void> {
  const model = await Florence2.fromPretrained(tiny, { device });
  await model.run(image, "<CAPTION>", { maxNewTokens: 2, numBeams: 1 });
  expect(model.memory.bytes).toBeGreaterThan(0);
  await model.dispose();
  expect(model.memory.bytes).toBe(0);
}

describe.skipIf(gpuMissing)("loading, running and disposing", () => {
  it("leaves nothing with a device that goes on", async () => {
    const gpu = await openTestGpu();
    const runners: WeakRef<Runner>[] = [];
    for (let i = 0; i < 10; i++) {
      const runner = await openRunner(gpu.device);
      runners.push(new WeakRef(runner));
      runner.dispose();
    }
    await memory();
    // The last one may still be in a register.
    expect(runners.filter((runner) => runner.deref() !== undefined).length).toBeLessThanOrEqual(1);
    gpu.dispose();
  });

  it(`${ROUNDS} times on one device holds steady`, async () => {
    const gpu = await openTestGpu();
    const liveBytes = counted(gpu);
    let warm = await memory();
    for (let i = 0; i < ROUNDS; i++) {
      await round(gpu.device);
      expect(liveBytes()).toBe(0);
      if (i + 1 === WARM) warm = await memory();
    }
    const end = await memory();
    gpu.dispose();
    expect(end.resident - warm.resident).toBeLessThan(RESIDENT * (ROUNDS - WARM));
    expect(end.heap - warm.heap).toBeLessThan(HEAP * (ROUNDS - WARM));
  });
});
