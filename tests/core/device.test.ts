import { describe, expect, it, vi } from "vitest";
import { openRunner } from "../../core/device.ts";
import { Florence2Error } from "../../core/errors.ts";
import { florenceError } from "../support/errors.ts";

const fake: { webgpu: () => Promise<unknown> } = { webgpu: async () => undefined };
vi.mock("../../core/platform.ts", async (original) => ({
  ...(await original<object>()),
  webgpu: () => fake.webgpu(),
}));

describe("opening a device", () => {
  it("refuses an unknown choice", async () => {
    await expect(openRunner("tpu" as "gpu")).rejects.toEqual(florenceError("option_invalid"));
  });

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
