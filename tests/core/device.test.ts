import { describe, expect, it } from "vitest";
import { openRunner } from "../../core/device.ts";
import type { Florence2Error } from "../../core/errors.ts";

const code = (expected: Florence2Error["code"]) =>
  expect.objectContaining({ name: "Florence2Error", code: expected });

describe("opening a device", () => {
  it("refuses an unknown choice", async () => {
    await expect(openRunner("tpu" as "gpu")).rejects.toEqual(code("option_invalid"));
  });

  it("gives the CPU when asked", async () => {
    expect((await openRunner("cpu")).kind).toBe("cpu");
  });
});
