import { CpuRunner } from "../core/cpu/cpu_runner.ts";
import type { WeightsDtype } from "../model/weights/loader.ts";
import { openPhases } from "./model.ts";
import type { Subject } from "./subjects.ts";
import { type Effort, measure } from "./timing.ts";
import { observerOf } from "./watch.ts";

/** How long a phase takes with more threads. */
export interface GrowthRow {
  readonly phase: string;
  readonly batch: number;
  /** Milliseconds by the number of threads, in the order of the threads. */
  readonly ms: readonly number[];
}

export interface GrowthOptions {
  readonly dtype: WeightsDtype;
  /** Numbers of threads, the fewest first. */
  readonly threads: readonly number[];
  readonly batches: readonly number[];
  readonly effort: Effort;
  /** Only phases that have this in their name. */
  readonly filter: string;
}

/** Numbers of threads to compare: 1, 2, 4 and so on, and all processors. `threadsUpTo(6)` is [1, 2, 4, 6]. */
export function threadsUpTo(processors: number): number[] {
  const counts: number[] = [];
  for (let count = 1; count < processors; count *= 2) counts.push(count);
  return [...counts, processors];
}

/** Times the phases of greedy answers on the CPU engine, with each number of threads; `adapter` names the last. */
export async function measureGrowth(
  subject: Subject,
  { dtype, threads, batches, effort, filter }: GrowthOptions,
): Promise<{ readonly adapter: string; readonly rows: GrowthRow[] }> {
  let adapter = "";
  const rows = new Map<string, { phase: string; batch: number; ms: number[] }>();
  for (const count of threads) {
    const runner = await CpuRunner.open({ threads: count, asksForI8: dtype === "q8" });
    adapter = runner.name;
    try {
      const { phases } = await openPhases(subject, runner, dtype, batches);
      for await (const { phase, batch = 1, close, ...work } of phases) {
        if (!/vision|encoder|greedy/.test(phase) || !phase.includes(filter)) continue;
        const { ms } = await measure(observerOf(runner), work, effort);
        close?.();
        const key = `${phase} ${batch}`;
        const row = rows.get(key) ?? { phase, batch, ms: [] };
        row.ms.push(ms);
        rows.set(key, row);
      }
    } finally {
      runner.dispose();
    }
  }
  return { adapter, rows: [...rows.values()] };
}
