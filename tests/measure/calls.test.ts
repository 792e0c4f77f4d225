import { describe, expect, it } from "vitest";
import { PORTABLE_PROFILE } from "../../core/recording.ts";
import { measureBoundaries } from "../../measure/boundaries.ts";
import { type CallTime, CallTimer, modelCalls } from "../../measure/calls.ts";
import { operationsOf } from "../../measure/operations.ts";
import { observerOf } from "../../measure/watch.ts";
import { gpuMissing, openTestGpu } from "../support/gpu.ts";

describe("the calls of base", () => {
  it("have the arithmetic that the network has", async () => {
    const calls = await modelCalls("base", "f16", PORTABLE_PROFILE);
    const billions = (phase: string) =>
      calls
        .filter((call) => call.phase === phase)
        .reduce((sum, { dispatch, count }) => sum + count * operationsOf(dispatch), 0) / 1e9;
    // Counted by hand from the sizes of the layers: 380 if channel attention were not folded; 64.5 with 577 image tokens.
    console.log(`vision ${billions("vision").toFixed(1)} GFLOP, encoder ${billions("encoder").toFixed(1)}`);
    expect(billions("encoder")).toBeGreaterThan(60);
    expect(billions("encoder")).toBeLessThan(68);
    expect(billions("vision")).toBeGreaterThan(300);
    expect(billions("vision")).toBeLessThan(385);
    const feedForward = calls.find(({ dispatch: { params } }) => params.M === 2304 && params.N === 2048);
    expect(feedForward).toMatchObject({ phase: "vision", count: 18, dispatch: { params: { K: 512 } } });
  });
});

describe.skipIf(gpuMissing)("on a GPU", () => {
  it("a call is timed by each variant that can serve it", async () => {
    const gpu = await openTestGpu();
    try {
      const calls = await modelCalls("base", "f16", gpu.profile);
      const call = calls.find(
        ({ phase, dispatch: { params } }) => phase === "step, 3 beams" && params.N === 768,
      )!;
      const times: CallTime[] = [];
      for await (const time of new CallTimer(gpu, observerOf(gpu)).time(call)) times.push(time);
      expect(times.map(({ variant }) => variant)).toEqual(["rows", "tile"]);
      expect(times.map(({ isDefault }) => isDefault)).toEqual([true, false]);
      for (const { ms, shape, gigaflopsPerSecond } of times) {
        expect(ms).toBeGreaterThan(0);
        expect(shape).toMatch(/^M 3, N 768, K \d+/);
        expect(gigaflopsPerSecond).toBeCloseTo(operationsOf(call.dispatch) / ms / 1e6);
      }
    } finally {
      gpu.dispose();
    }
  });

  it("what lies between calls is timed", async () => {
    const gpu = await openTestGpu();
    const { roundTripUs, ...others } = await measureBoundaries(gpu, observerOf(gpu));
    gpu.dispose();
    expect(roundTripUs).toBeGreaterThan(0);
    for (const value of Object.values(others)) expect(Number.isFinite(value)).toBe(true);
  });
});
