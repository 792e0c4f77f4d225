/** What a model leaves behind when it is disposed: nothing, however often. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { openRunner } from "../../core/device.ts";
import type { Runner } from "../../core/runner.ts";
import { collectGarbage } from "../support/garbage.ts";
import { gpuMissing, openTestGpu } from "../support/gpu.ts";

const tiny = fileURLToPath(new URL("../fixtures/flavours/transformers", import.meta.url));
const program = fileURLToPath(new URL("../support/dispose_rounds.mjs", import.meta.url));
const ROUNDS = 25;
/** Intervals of so many rounds until nearly everything that is made once has been made, and those that count. */
const WARM = 4;
const COUNTED = 9;
/** Bytes that may stay for each round: a leaked buffer or recording is larger. */
const RESIDENT = 24 * 2 ** 10;
const HEAP = 6 * 2 ** 10;

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/**
 * Bytes of growth in an interval. A leak raises both estimates; a step of an allocator leaves the middle one of the
 * differences between neighbours as it is, and what comes and goes leaves the middle one of the slopes between all pairs.
 */
function growth(samples: readonly number[]): number {
  const slopes = samples.map((from, i) => samples.slice(i + 1).map((to, k) => (to - from) / (k + 1)));
  return Math.min(median(slopes.flatMap((row) => row.slice(0, 1))), median(slopes.flat()));
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
    // The last one may still be in a register.
    await expect
      .poll(
        () => {
          collectGarbage();
          return runners.filter((runner) => runner.deref() !== undefined).length;
        },
        { timeout: 60_000 },
      )
      .toBeLessThanOrEqual(1);
    gpu.dispose();
  });

  it(`${(WARM + COUNTED) * ROUNDS} times on one device holds steady`, async () => {
    const args = ["--expose-gc", program, tiny, String(ROUNDS), String(WARM + COUNTED)];
    // glibc's pools for each thread would grow in steps larger than what is looked for.
    const env = { ...process.env, MALLOC_ARENA_MAX: "1" };
    const { stdout } = await promisify(execFile)(process.execPath, args, { env });
    const samples: { resident: number; heap: number }[] = JSON.parse(stdout);
    expect(samples.length).toBe(WARM + COUNTED);
    const counted = samples.slice(WARM - 1);
    expect(growth(counted.map(({ resident }) => resident))).toBeLessThan(RESIDENT * ROUNDS);
    expect(growth(counted.map(({ heap }) => heap))).toBeLessThan(HEAP * ROUNDS);
  });
});
