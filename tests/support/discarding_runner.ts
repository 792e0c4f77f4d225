import { PORTABLE_PROFILE } from "../../core/recording.ts";
import type { Runner } from "../../core/runner.ts";
import { newTensor } from "../../core/tensor.ts";

/** Discards weights, so that only the memory of loading itself remains to be measured. */
export function discardingRunner(): Runner {
  const runner: Pick<Runner, "profile" | "zeros" | "upload" | "write" | "settle"> = {
    profile: PORTABLE_PROFILE,
    zeros: (label, shape, dtype = "f32") => newTensor(label, shape, dtype, "owned"),
    upload: (label, shape) => newTensor(label, shape, "f32", "owned"),
    write() {},
    settle: () => Promise.resolve(),
  };
  return runner as Runner;
}
