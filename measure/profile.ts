import type { GpuRunner } from "../core/gpu/gpu_runner.ts";
import type { WeightsDtype } from "../model/weights/loader.ts";
import { openPhases } from "./model.ts";
import type { Subject } from "./subjects.ts";
import { type Column, figure, milliseconds, percent, text } from "./table.ts";
import type { PassTime, Watch } from "./watch.ts";

/** What one variant of a kernel took of a phase. */
export interface ProfileRow {
  readonly phase: string;
  readonly kernel: string;
  readonly calls: number;
  readonly gpuMs: number;
  /** Of the GPU's time in the phase. */
  readonly share: number;
}

/** How rows of a profile are shown. */
export const PROFILE_COLUMNS: readonly Column<ProfileRow>[] = [
  text("phase", 28, ({ phase }) => phase),
  text("kernel", 28, ({ kernel }) => kernel),
  figure("calls", ({ calls }) => String(calls)),
  figure("GPU ms", ({ gpuMs }) => milliseconds(gpuMs)),
  figure("share", ({ share }) => percent(share)),
];

export interface ProfileOptions {
  readonly dtype: WeightsDtype;
  /** Only phases that have this in their name. */
  readonly filter: string;
  readonly onRow: (row: ProfileRow) => void;
}

/**
 * Runs each phase of an answer once, after one run that may compile, and tells where its time on the GPU goes.
 *
 * @param watch one of each call, on a device that has a clock
 */
export async function profileModel(
  subject: Subject,
  runner: GpuRunner,
  watch: Watch,
  { dtype, filter, onRow }: ProfileOptions,
): Promise<void> {
  const { phases } = await openPhases(subject, runner, dtype, [1]);
  for await (const { phase, before, run, after, close } of phases) {
    // Whole answers are made of the other phases.
    if (phase.startsWith("<") || !phase.includes(filter)) continue;
    let times: readonly PassTime[] = [];
    for (let time = 0; time < 2; time++) {
      await before?.();
      watch.begin();
      await run();
      times = (await watch.passTimes()) ?? [];
      after?.();
    }
    close?.();
    for (const row of profileOf(phase, times)) onRow(row);
  }
}

/** A line for each variant of each kernel, the longest first. */
export function profileOf(phase: string, times: readonly PassTime[]): ProfileRow[] {
  const whole = times.reduce((sum, { ms }) => sum + ms, 0);
  const rows = new Map<string, { calls: number; gpuMs: number }>();
  for (const { pipeline, ms } of times) {
    const kernel = variantOf(pipeline);
    const { calls, gpuMs } = rows.get(kernel) ?? { calls: 0, gpuMs: 0 };
    rows.set(kernel, { calls: calls + 1, gpuMs: gpuMs + ms });
  }
  return [...rows]
    .map(([kernel, spent]) => ({ phase, kernel, ...spent, share: spent.gpuMs / whole }))
    .sort((a, b) => b.gpuMs - a.gpuMs);
}

/** A pipeline's label without its constants: kernel/variant. */
const variantOf = (pipeline: string) => pipeline.replace(/ \w+[=:].*/, "");
