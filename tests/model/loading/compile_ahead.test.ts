/** Pipelines: compiled while the weights are on their way, and once for all models on a device. */
import { fileURLToPath } from "node:url";
import { describe, expect, it, vi } from "vitest";
import { CpuRunner } from "../../../core/cpu/cpu_runner.ts";
import { Florence2 } from "../../../index.ts";
import { compileAhead } from "../../../model/loading/compile_ahead.ts";
import { readModelFiles } from "../../../model/loading/read_model_files.ts";
import { gpuMissing, openTestGpu } from "../../support/gpu.ts";

const tiny = fileURLToPath(new URL("../../fixtures/flavours/transformers", import.meta.url));
const image = { data: new Uint8Array(3 * 8 * 8).fill(77), width: 8, height: 8, channels: 3 } as const;

describe.skipIf(gpuMissing)("the pipelines of a model on the GPU", () => {
  it("are asked for before the last weights are there, and may be lost with their device", async () => {
    const gpu = await openTestGpu();
    const { device } = gpu;
    const compile = vi.spyOn(device, "createComputePipelineAsync");
    const write = vi.spyOn(device.queue, "writeBuffer");
    const model = await Florence2.fromPretrained(tiny, { device });
    expect(compile.mock.invocationCallOrder[0]).toBeLessThan(write.mock.invocationCallOrder.at(-1)!);
    model.dispose();
    gpu.dispose();
  });

  it("are those of the first answer, need no weights, and serve every model on the device", async () => {
    const gpu = await openTestGpu();
    const { device } = gpu;
    const { config, imageConfig, checkpoint } = await readModelFiles(tiny);
    const { bytes } = gpu.memory;
    const read = vi.spyOn(checkpoint, "readRows");
    const compile = vi.spyOn(device, "createComputePipelineAsync");
    const model = { checkpoint, config, imageConfig, dtype: "f32" } as const;
    await compileAhead(gpu, model);
    await checkpoint.close();
    expect(read).not.toHaveBeenCalled();
    expect(gpu.memory.bytes).toBe(bytes);
    const labels = compile.mock.calls.map(([{ label }]) => label);
    expect(labels.length).toBeGreaterThan(20);
    expect(new Set(labels).size).toBe(labels.length);

    compile.mockClear();
    for (const task of ["<CAPTION>", "<OD>"] as const) {
      const model = await Florence2.fromPretrained(tiny, { device, dtype: "f32" });
      await model.run(image, task, { maxNewTokens: 2 });
      model.dispose();
    }
    expect(compile).not.toHaveBeenCalled();
    gpu.dispose();
  });
});

it("needs nothing compiled on the CPU", async () => {
  const { config, imageConfig, checkpoint } = await readModelFiles(tiny);
  const runner = new CpuRunner();
  const model = { checkpoint, config, imageConfig, dtype: "f32" } as const;
  await compileAhead(runner, model);
  await checkpoint.close();
  expect(runner.memory.peakBytes).toBe(0);
});
