import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GpuRunner } from "../../core/gpu/gpu_runner.ts";
import { type DoubleFaults, doubleCases } from "../support/double_kernel.ts";
import { gpuMissing, openTestGpu } from "../support/gpu.ts";
import { checkCase } from "../support/kernel_check.ts";

/** A harness that can't fail proves nothing: each fault here must be found. */
describe.skipIf(gpuMissing)("the kernel harness finds", () => {
  let gpu: GpuRunner;
  beforeAll(async () => {
    gpu = await openTestGpu({ debug: true });
  });
  afterAll(() => gpu.dispose());

  const check = (faults: DoubleFaults) => {
    const suite = doubleCases(faults);
    return checkCase(gpu, suite, suite.cases[0]!, "only");
  };

  it("nothing wrong with a right kernel", async () => {
    expect(await check({})).toBeUndefined();
  });

  it("a wrong twin", async () => {
    expect(await check({ twin: (x) => 3 * x })).toMatch(
      /^double\/only, 1000 elements, out: \d+ of 1000 elements differ/,
    );
  });

  it("one element off, and says which", async () => {
    expect(await check({ twin: (x, i) => 2 * x + (i === 321 ? 0.01 : 0) })).toMatch(
      /: 1 of 1000 .*\(3, 21\)/,
    );
  });

  it("a NaN of the shader", async () => {
    const statement = "out[i] = select(2.0 * x[i], bitcast<f32>(0x7fc00000u + params.count), i == 7u);";
    expect(await check({ statement })).toMatch(/: 1 of 1000 .*\(0, 7\): NaN/);
  });

  it("a NaN of the twin", async () => {
    expect(await check({ twin: (x, i) => (i === 8 ? Number.NaN : 2 * x) })).toMatch(/: 1 of 1000 .*\(0, 8\)/);
  });

  it("elements that were never written", async () => {
    expect(await check({ statement: "if (i != 999u) { out[i] = 2.0 * x[i]; }" })).toMatch(
      /: 1 of 1000 .*\(9, 99\): NaN/,
    );
  });

  it("a write past the end", async () => {
    await expect(check({ statement: "out[i] = 2.0 * x[i]; out[i + 1u] = 1.0;" })).rejects.toThrow(
      /past its memory/,
    );
  });
});
