import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openRunner } from "../../../core/device.ts";
import { Florence2Error } from "../../../core/errors.ts";
import type { GpuRunner } from "../../../core/gpu/gpu_runner.ts";
import { Recording } from "../../../core/recording.ts";
import { double, doubleKernel } from "../../support/double_kernel.ts";
import { gpuMissing, openTestGpu } from "../../support/gpu.ts";

const code = (expected: Florence2Error["code"]) =>
  expect.objectContaining({ name: "Florence2Error", code: expected });

describe.skipIf(gpuMissing)("GPU faults", () => {
  let gpu: GpuRunner;
  beforeAll(async () => {
    gpu = await openTestGpu();
  });
  afterAll(() => gpu.dispose());

  it("in a shader become an error with kernel, variant, line and source", async () => {
    const rec = new Recording({ profile: gpu.profile });
    double(rec, doubleKernel({ statement: "out[i] = nonsense;" }), gpu.upload("x", [4], new Float32Array(4)));
    const error = await gpu.prepare(rec).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    expect(error).toEqual(code("gpu_invalid"));
    expect((error as Error).message).toMatch(
      /double\/only.*does not compile:\ndouble\.wgsl:\d+:\d+ .*nonsense/s,
    );
  });

  it("of memory are an error of the next call, and the one after works", async () => {
    gpu.zeros("far too much", [2 ** 40]);
    await expect(gpu.settle()).rejects.toThrow(/far too much/);
    const fine = gpu.upload("fine", [1], Float32Array.of(5));
    expect(await gpu.read(fine)).toEqual(Float32Array.of(5));
  });

  it("a device lost stays lost, for every call", async () => {
    const doomed = await openTestGpu();
    const x = doomed.upload("x", [1], Float32Array.of(1));
    doomed.device.destroy();
    await doomed.device.lost;
    await expect((async () => doomed.read(x))()).rejects.toEqual(code("gpu_lost"));
    expect(() => doomed.zeros("y", [1])).toThrow(Florence2Error);
    doomed.dispose();
  });

  it("a caller's device is used and left alive", async () => {
    const runner = await openRunner(gpu.device);
    const x = runner.upload("x", [2], Float32Array.of(1, 2));
    expect(await runner.read(x)).toEqual(Float32Array.of(1, 2));
    runner.dispose();
    runner.dispose();
    await expect((async () => runner.read(x))()).rejects.toEqual(code("disposed"));
    const still = gpu.upload("still", [1], Float32Array.of(3));
    expect(await gpu.read(still)).toEqual(Float32Array.of(3));
  });
});
