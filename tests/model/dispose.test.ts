/** What a model leaves behind when it is disposed: nothing, however often. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { openRunner } from "../../core/device.ts";
import type { Runner } from "../../core/runner.ts";
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

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** The growth in the middle one of the intervals: a leak grows in each of them, an allocator's pool in a few. */
function medianGrowth(samples: readonly number[]): number {
  const growth = samples.slice(1).map((bytes, i) => bytes - samples[i]!);
  return growth.sort((a, b) => a - b)[growth.length >> 1]!;
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
    expect(medianGrowth(counted.map(({ resident }) => resident))).toBeLessThan(RESIDENT * ROUNDS);
    expect(medianGrowth(counted.map(({ heap }) => heap))).toBeLessThan(HEAP * ROUNDS);
  });
});
