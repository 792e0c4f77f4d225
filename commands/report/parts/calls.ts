import { openRunner } from "../../../core/device.ts";
import { type CallTime, CallTimer, modelCalls, nameOf } from "../../../measure/calls.ts";
import { measureLimits } from "../../../measure/kernels.ts";
import { figure, milliseconds, percent, text, threeDigits } from "../../../measure/table.ts";
import { observerOf } from "../../../measure/watch.ts";
import { groupBy } from "../groups.ts";
import type { Part } from "../part.ts";
import { table } from "../words.ts";

type Ranked = CallTime & { readonly rank: number; readonly ceiling: number };

const COLUMNS = [
  text<Ranked>("phase", 13, ({ phase }) => phase),
  text<Ranked>("kernel", 22, ({ kernel }) => kernel),
  text<Ranked>("shape", 60, ({ shape }) => shape),
  figure<Ranked>("calls", ({ count }) => String(count)),
  text<Ranked>("variant", 12, ({ variant, isDefault }) => (isDefault ? `${variant} *` : variant)),
  figure<Ranked>("rank", ({ rank }) => String(rank)),
  figure<Ranked>("ms", ({ ms }) => milliseconds(ms)),
  figure<Ranked>("GB/s", ({ gigabytesPerSecond }) => threeDigits(gigabytesPerSecond)),
  figure<Ranked>("GFLOP/s", ({ gigaflopsPerSecond }) => threeDigits(gigaflopsPerSecond)),
  figure<Ranked>("of ceiling", ({ ceiling }) => percent(ceiling)),
];

/** Every variant at the shapes of a model, in f16. */
export const callsPart = (size: "base" | "large", weight: number): Part => ({
  title: `Variants at the shapes of ${size}`,
  weight,
  async run({ device, plan, item, add, tell, absent }) {
    if (device === "cpu") return absent("the CPU engine has one version of each kernel");
    const runner = await openRunner(device);
    try {
      const observer = observerOf(runner);
      const limits = await measureLimits(runner, observer, { seconds: 0, samples: 3 });
      tell({ dtype: "f16", limits });
      const timer = new CallTimer(runner, observer);
      const calls = await modelCalls(size, "f16", runner.profile);
      plan(calls.map(nameOf));
      for (const call of calls) {
        await item(nameOf(call), async () => {
          for await (const time of timer.time(call)) add({ ...time });
        });
      }
    } finally {
      runner.dispose();
    }
  },
  inWords({ facts, rows, left }) {
    const limits = facts.limits as { gigabytesPerSecond: number; gigaflopsPerSecond: number };
    const times = rows as unknown as readonly CallTime[];
    const ranked = [...groupBy(times, ({ phase, kernel, shape }) => `${phase} ${kernel} ${shape}`).values()]
      .flatMap((calls) => calls.toSorted((a, b) => a.ms - b.ms).map((call, i) => ({ ...call, rank: i + 1 })))
      .map((call) => {
        const ofCopy = call.gigabytesPerSecond / limits.gigabytesPerSecond;
        return { ...call, ceiling: Math.max(ofCopy, call.gigaflopsPerSecond / limits.gigaflopsPerSecond) };
      });
    return [
      `Weights in f16. A star marks the variant that is taken by default. The ceiling is what copying (${threeDigits(limits.gigabytesPerSecond)} GB/s) or multiplying and adding in f32 (${threeDigits(limits.gigaflopsPerSecond)} GFLOP/s) reaches, whichever a call comes closer to; matrix units may exceed it. Inputs come from memory, not from caches. ${left.length} calls were left for lack of time. Calls that read tokens or lengths are in the profile only.`,
      "",
      table(COLUMNS, ranked),
    ].join("\n");
  },
});
