import { openRunner } from "../../../core/device.ts";
import { measureBoundaries } from "../../../measure/boundaries.ts";
import { cpuLimits } from "../../../measure/cpu_limits.ts";
import { measureLimits } from "../../../measure/kernels.ts";
import { threeDigits } from "../../../measure/table.ts";
import { observerOf } from "../../../measure/watch.ts";
import type { Part } from "../part.ts";
import { list } from "../words.ts";

const EFFORT = { seconds: 0.5, samples: 5 };

const part: Part = {
  title: "Ceilings",
  weight: 4,
  async run({ device, item, tell }) {
    const runner = await openRunner(device);
    try {
      const observer = observerOf(runner);
      await item("copy and multiply-add", async () =>
        tell({
          ...(await (device === "cpu" ? cpuLimits() : measureLimits(runner, observer, EFFORT))),
        }),
      );
      await item("boundaries of calls", async () => tell({ ...(await measureBoundaries(runner, observer)) }));
    } finally {
      runner.dispose();
    }
  },
  inWords({ facts }) {
    const words: Record<string, [name: string, unit: string]> = {
      gigabytesPerSecond: ["copying 64 MiB, read and written", "GB/s"],
      gigaflopsPerSecond: ["multiplying and adding in f32", "GFLOP/s"],
      dependentUs: ["a tiny call after one whose result it reads", "µs"],
      independentUs: ["a tiny call after one that it does not depend on", "µs"],
      hostUs: ["the main thread for one call", "µs"],
      roundTripUs: ["from submitting a tiny call until its result is read", "µs"],
    };
    const named = Object.entries(facts).flatMap(([name, value]) => {
      const [what, unit] = words[name] ?? [];
      return what === undefined ? [] : [[what, `${threeDigits(value as number)} ${unit}`]];
    });
    return list(Object.fromEntries(named));
  },
};
export default part;
