import "./rest_between_polls.mjs";
import { openRunner } from "../../core/device.ts";
import type { GpuRunner } from "../../core/gpu/gpu_runner.ts";
import { type DeviceProfile, PORTABLE_PROFILE } from "../../core/recording.ts";

const found = await openRunner("gpu").then(
  (runner) => {
    runner.dispose();
    return { missing: undefined, profile: runner.profile };
  },
  (error: Error) => ({ missing: error.message, profile: PORTABLE_PROFILE }),
);

/**
 * Why GPU suites can't run on this machine; `undefined` if they can. `FLORENCE2_TEST_GPU=required`
 * makes a missing GPU an error instead, as it is in CI.
 */
export const gpuMissing: string | undefined = found.missing;
/** What this machine's GPU can do. */
export const profile: DeviceProfile = found.profile;

if (gpuMissing && process.env.FLORENCE2_TEST_GPU === "required")
  throw new Error(`A GPU is required here. ${gpuMissing}`);

/** A GPU of its own for one suite. Debug: fresh memory is NaN, writes past the end are found. */
export async function openTestGpu(options: { debug?: boolean } = {}): Promise<GpuRunner> {
  return (await openRunner("gpu", options)) as GpuRunner;
}
