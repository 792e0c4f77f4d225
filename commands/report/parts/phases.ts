import { openRunner } from "../../../core/device.ts";
import { openPhases, type PhaseRow } from "../../../measure/model.ts";
import { generatedSubject } from "../../../measure/subjects.ts";
import { figure, mebibytes, milliseconds, text, threeDigits } from "../../../measure/table.ts";
import { measure } from "../../../measure/timing.ts";
import { observerOf } from "../../../measure/watch.ts";
import type { Part } from "../part.ts";
import { table } from "../words.ts";

interface Timed extends PhaseRow {
  /** The first run, in which shaders may be compiled and memory is taken; milliseconds. */
  readonly firstMs: number;
}

const COLUMNS = [
  text<Timed>("phase", 36, ({ phase }) => (phase.startsWith("<") ? phase.replace(/<.*>/, "`$&`") : phase)),
  figure<Timed>("batch", ({ batch }) => String(batch)),
  figure<Timed>("first ms", ({ firstMs }) => milliseconds(firstMs)),
  figure<Timed>("ms", ({ ms }) => milliseconds(ms)),
  figure<Timed>("fastest", ({ fastest }) => milliseconds(fastest)),
  figure<Timed>("p75", ({ p75 }) => milliseconds(p75)),
  figure<Timed>("GPU ms", ({ gpuMs }) => milliseconds(gpuMs)),
  figure<Timed>("host ms", ({ hostMs }) => milliseconds(hostMs)),
  figure<Timed>("dispatches", ({ dispatches }) => threeDigits(dispatches)),
  figure<Timed>("MiB", ({ peakBytes }) => mebibytes(peakBytes)),
];

/** Enough for a median; phases that last are measured fewer times. */
const SAMPLES = 7;
const SLOW_MS = 2000;

/** The phases of base's answers, with generated weights. */
export const phasesPart = (dtype: "f16" | "f32", weight: number): Part => ({
  title: `Phases of base in ${dtype}`,
  weight,
  async run({ device, item, add, tell }) {
    const runner = await openRunner(device);
    try {
      const observer = observerOf(runner);
      const start = performance.now();
      const { phases } = await openPhases(generatedSubject("base"), runner, dtype, [1, 8]);
      await runner.settle();
      tell({ "ms until the weights are on the device": performance.now() - start });
      for await (const { phase, batch = 1, tokens, close, ...work } of phases) {
        await item(`${phase}, batch ${batch}`, async () => {
          let firstMs: number | undefined;
          const run = async () => {
            const began = performance.now();
            await work.run();
            firstMs ??= performance.now() - began;
          };
          const once = await measure(observer, { ...work, run }, { seconds: 0, samples: 1 });
          const samples = once.ms > SLOW_MS ? 1 : SAMPLES;
          const measured = samples > 1 ? await measure(observer, work, { seconds: 0, samples }) : once;
          add({ phase, batch, tokens: tokens?.() ?? 0, firstMs, ...measured });
        });
        close?.();
      }
      tell({ "peak bytes on the device": runner.memory.peakBytes });
    } finally {
      tell({ "peak bytes of the process": process.resourceUsage().maxRSS * 1024 });
      runner.dispose();
    }
  },
  inWords({ facts, rows }) {
    const peak = facts["peak bytes of the process"];
    const memory = peak === undefined ? "" : ` The process had ${mebibytes(peak as number)} MiB at most.`;
    return [
      `Generated weights, 20 tokens an answer. First ms is the first call, which may compile.${memory}`,
      "",
      table(COLUMNS, rows as unknown as readonly Timed[]),
    ].join("\n");
  },
});
