import { Arena } from "../core/cpu/arena.ts";
import { Engine } from "../core/cpu/engine.ts";
import type { CompiledCall } from "../core/cpu/protocol.ts";
import type { Executor } from "../core/cpu/threads.ts";

/** What the engine reaches at most, all threads together: its kernels in kernels/shared/limits.as.ts. */
export interface CpuLimits {
  readonly gigaflopsPerSecond: number;
  readonly gigabytesPerSecond: number;
}

/** Units of a limit for each thread, and how much work each is. */
const UNITS = 64;
const ROUNDS = 20_000;
const COPY_BYTES = 2 ** 20;
const TRIALS = 10;
/** So that it matters little what beginning and ending cost. */
const REPEATS = 10;

/** What an engine with so many threads reaches; `undefined` where WebAssembly has no SIMD. */
export async function cpuLimits(threads?: number): Promise<CpuLimits | undefined> {
  const arena = new Arena(true);
  const engine = await Engine.open(arena, true, threads);
  if (!engine) return undefined;
  try {
    const gigabytesPerSecond = await measureCopy(arena, engine);
    return { gigaflopsPerSecond: await measureMultiplyAdd(engine), gigabytesPerSecond };
  } finally {
    engine.dispose();
    arena.dispose();
  }
}

/** What multiply-adds reach that depend on nothing but registers, in GFLOP/s. */
export async function measureMultiplyAdd({ executor, threads }: Engine): Promise<number> {
  const units = UNITS * threads;
  const call = { name: "limit_multiply_add", args: [ROUNDS], units, counter: 0 };
  return (units * ROUNDS * 96) / (await fastestOf(executor, call)) / 1e6;
}

/** What copying reaches, reads and writes together, in GB/s. */
export async function measureCopy(arena: Arena, { executor, threads }: Engine): Promise<number> {
  const units = UNITS * threads;
  const from = arena.allocate(units * COPY_BYTES, "what is copied");
  const to = arena.allocate(units * COPY_BYTES, "a copy");
  const call = { name: "limit_copy", args: [from.at, to.at, COPY_BYTES], units, counter: 0 };
  const ms = await fastestOf(executor, call);
  arena.release(from);
  arena.release(to);
  return (2 * units * COPY_BYTES) / ms / 1e6;
}

/**
 * Milliseconds of a call by the clock, in the best of some trials: everything else is the machine being busy. The
 * threads' own times do not tell: one that wakes up late finds the work done.
 */
async function fastestOf(executor: Executor, call: CompiledCall): Promise<number> {
  const list = executor.keep([call]);
  let least = Number.POSITIVE_INFINITY;
  for (let trial = 0; trial < TRIALS; trial++) {
    const start = performance.now();
    await list.run(REPEATS, 0);
    least = Math.min(least, performance.now() - start);
  }
  list.forget();
  return least / REPEATS;
}
