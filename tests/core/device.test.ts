import { describe, expect, it, vi } from "vitest";
import { openRunner } from "../../core/device.ts";
import { Florence2Error } from "../../core/errors.ts";
import { Florence2 } from "../../model/florence2.ts";
import { florenceError } from "../support/errors.ts";

const fake: { webgpu: () => Promise<unknown> } = { webgpu: async () => undefined };
vi.mock("../../core/platform.ts", async (original) => ({
  ...(await original<object>()),
  webgpu: () => fake.webgpu(),
}));

describe("opening a device", () => {
  const adapter = { features: new Set(), limits: {}, requestDevice() {} };
  it.each([
    ["tpu", '"tpu"'],
    [null, "null"],
    [7, "7"],
    [{}, "{}"],
    [["cpu"], '["cpu"]'],
    [adapter, "requestDevice()"],
  ])("refuses %j, before a model's files are opened", async (device, shown) => {
    const error = florenceError("option_invalid", shown, 'expected "auto", "gpu", "cpu" or a GPUDevice');
    await expect(openRunner(device as "gpu")).rejects.toEqual(error);
    await expect(Florence2.fromPretrained("no/such/model", { device: device as "gpu" })).rejects.toEqual(
      error,
    );
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "2", null])(
    "refuses %j threads on every device, before a model's files are opened",
    async (threads) => {
      const error = florenceError("option_invalid", "threads is", "whole number from 1");
      for (const device of ["auto", "gpu", "cpu"] as const) {
        const options = { device, threads: threads as number };
        await expect(openRunner(device, options)).rejects.toEqual(error);
        await expect(Florence2.fromPretrained("no/such/model", options)).rejects.toEqual(error);
      }
    },
  );

  it("gives the CPU when asked", async () => {
    expect((await openRunner("cpu")).kind).toBe("cpu");
  });

  const absent = new Florence2Error("dependency_missing", "The package webgpu cannot be loaded");
  it.each([
    ["no WebGPU", async () => undefined],
    ["no adapter", async () => ({ requestAdapter: async () => null })],
    ["no package webgpu", vi.fn().mockRejectedValue(absent)],
  ] as const)("auto with %s: the CPU serves", async (_, webgpu) => {
    fake.webgpu = webgpu;
    const runner = await openRunner("auto", { onWarning: () => {} });
    expect(runner.kind).toBe("cpu");
    runner.dispose();
    await expect(openRunner("gpu")).rejects.toBeInstanceOf(Florence2Error);
  });

  it("auto with a fault that is none of these: it is reported, not taken for a missing GPU", async () => {
    fake.webgpu = vi
      .fn()
      .mockRejectedValue(Object.assign(new Error("ENOENT: no such file"), { code: "ENOENT" }));
    await expect(openRunner("auto")).rejects.toThrow("ENOENT");
    fake.webgpu = vi.fn().mockRejectedValue(new Florence2Error("gpu_invalid", "does not compile"));
    await expect(openRunner("auto")).rejects.toEqual(florenceError("gpu_invalid"));
  });
});
