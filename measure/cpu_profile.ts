import { Arena } from "../core/cpu/arena.ts";
import { CpuRunner } from "../core/cpu/cpu_runner.ts";
import { Engine } from "../core/cpu/engine.ts";
import { Florence2Error } from "../core/errors.ts";
import type { Dispatch } from "../core/recording.ts";
import type { WeightsDtype } from "../model/weights/loader.ts";
import { openPhases } from "./model.ts";
import type { Subject } from "./subjects.ts";

/** What a kernel, or a matrix product of one shape, took of a phase on the CPU engine. */
export interface CpuProfileRow {
  readonly phase: string;
  /** A product with its M x N x K. */
  readonly kernel: string;
  readonly calls: number;
  readonly ms: number;
  /** Of the time that kernels take in the phase. */
  readonly share: number;
  /** Of products; null for other kernels. */
  readonly gigaflopsPerSecond: number | null;
  /** Of what multiply-adds reach that depend on nothing but registers. */
  readonly shareOfMultiplyAdd: number | null;
}

export interface CpuProfileOptions {
  readonly dtype: WeightsDtype;
  readonly threads?: number;
  /** Only phases that have this in their name. */
  readonly filter: string;
  readonly onLimits: (name: string, limits: CpuLimits) => void;
  readonly onRow: (row: CpuProfileRow) => void;
}

/** What the engine reaches at most, all threads together: its kernels in kernels/shared/limits.as.ts. */
export interface CpuLimits {
  readonly gigaflopsPerSecond: number;
  readonly gigabytesPerSecond: number;
}

/** Runs each phase of an answer three times on the CPU engine, and tells where the time of the last one goes. */
export async function profileOnCpu(
  subject: Subject,
  { dtype, threads, filter, onLimits, onRow }: CpuProfileOptions,
): Promise<void> {
  const arena = new Arena(true);
  const engine = await Engine.open(arena, true, threads);
  if (!engine) throw new Florence2Error("cpu_failed", "WebAssembly has no SIMD here: there is no engine");
  let spent = new Map<string, { calls: number; ms: number; operations: number }>();
  const onCall = (dispatch: Dispatch, ms: number) => {
    const { label, operations } = described(dispatch);
    const before = spent.get(label) ?? { calls: 0, ms: 0, operations: 0 };
    const sum = { calls: before.calls + 1, ms: before.ms + ms, operations: before.operations + operations };
    spent.set(label, sum);
  };
  const runner = new CpuRunner(arena, engine, { onCall });
  try {
    const limits = await measureLimits(arena, engine);
    onLimits(runner.name, limits);
    const { phases } = await openPhases(subject, runner, dtype, [1]);
    for await (const { phase, before, run, after, close } of phases) {
      // Whole answers are made of the other phases.
      if (phase.startsWith("<") || !phase.includes(filter)) continue;
      for (let time = 0; time < 3; time++) {
        await before?.();
        spent = new Map();
        await run();
        after?.();
      }
      close?.();
      const whole = [...spent.values()].reduce((sum, { ms }) => sum + ms, 0);
      for (const [kernel, { calls, ms, operations }] of [...spent].sort(([, a], [, b]) => b.ms - a.ms)) {
        const rate = operations > 0 ? operations / ms / 1e6 : null;
        const shareOfMultiplyAdd = rate === null ? null : rate / limits.gigaflopsPerSecond;
        onRow({ phase, kernel, calls, ms, share: ms / whole, gigaflopsPerSecond: rate, shareOfMultiplyAdd });
      }
    }
  } finally {
    runner.dispose();
  }
}

function described({ kernel, params }: Dispatch): { label: string; operations: number } {
  if (kernel.name !== "matmul") return { label: kernel.name, operations: 0 };
  const { M, N, K } = params as { readonly M: number; readonly N: number; readonly K: number };
  return { label: `matmul ${M} x ${N} x ${K}`, operations: 2 * M * N * K };
}

const ROUNDS = 20_000;
const COPY_BYTES = 2 ** 20;
const TRIALS = 10;

/** The best of some trials: everything else is the machine being busy. */
async function measureLimits(arena: Arena, { executor, threads }: Engine): Promise<CpuLimits> {
  const units = 64 * threads;
  const from = arena.allocate(units * COPY_BYTES, "what is copied");
  const to = arena.allocate(units * COPY_BYTES, "a copy");
  const best = async (name: string, args: readonly number[]) => {
    const list = executor.keep([{ name, args, units, counter: 0 }]);
    let least = Number.POSITIVE_INFINITY;
    for (let trial = 0; trial < TRIALS; trial++)
      await list.run(1, 0, undefined, ([{ ms } = { ms: least }]) => {
        least = Math.min(least, ms);
      });
    list.forget();
    return least;
  };
  const gigaflopsPerSecond = (units * ROUNDS * 96) / (await best("limit_multiply_add", [ROUNDS])) / 1e6;
  const gigabytesPerSecond =
    (2 * units * COPY_BYTES) / (await best("limit_copy", [from.at, to.at, COPY_BYTES])) / 1e6;
  arena.release(from);
  arena.release(to);
  return { gigaflopsPerSecond, gigabytesPerSecond };
}
