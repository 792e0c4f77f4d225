import { Arena } from "../core/cpu/arena.ts";
import { CpuRunner } from "../core/cpu/cpu_runner.ts";
import { Engine } from "../core/cpu/engine.ts";
import { placeOfI8 } from "../core/cpu/product_speeds.ts";
import { Florence2Error } from "../core/errors.ts";
import type { Dispatch } from "../core/recording.ts";
import type { WeightsDtype } from "../model/weights/loader.ts";
import { bytesBound } from "./calls.ts";
import { type CpuLimits, measureCopy, measureMultiplyAdd } from "./cpu_limits.ts";
import { openPhases } from "./model.ts";
import { operationsOf } from "./operations.ts";
import type { Subject } from "./subjects.ts";
import { type Column, figure, milliseconds, percent, text, threeDigits } from "./table.ts";

/** What a kernel, or a matrix product of one shape, took of a phase on the CPU engine. */
export interface CpuProfileRow {
  readonly phase: string;
  /** A product with its M x N x K. */
  readonly kernel: string;
  readonly calls: number;
  readonly ms: number;
  /** Of the time that kernels take in the phase. */
  readonly share: number;
  /** Arithmetic operations; 0 for kernels that only move memory. */
  readonly operations: number;
  readonly gigaflopsPerSecond: number;
  /** Of the tensors that it is given, as if each was moved once. */
  readonly gigabytesPerSecond: number;
  /** Of what multiply-adds reach that depend on nothing but registers, and of what copying reaches. */
  readonly shareOfMultiplyAdd: number;
  readonly shareOfCopy: number;
}

export interface CpuProfileOptions {
  readonly dtype: WeightsDtype;
  readonly threads?: number;
  readonly isWanted: (phase: string) => boolean;
  readonly onRow: (row: CpuProfileRow) => void;
}

/** How rows of a profile are shown. */
export const CPU_PROFILE_COLUMNS: readonly Column<CpuProfileRow>[] = [
  text("phase", 28, ({ phase }) => phase),
  text("kernel", 26, ({ kernel }) => kernel),
  figure("calls", ({ calls }) => `${calls}`),
  figure("ms", ({ ms }) => milliseconds(ms)),
  figure("share", ({ share }) => percent(share)),
  figure("GFLOP/s", ({ gigaflopsPerSecond: rate }) => threeDigits(rate)),
  figure("of multiply-add", ({ shareOfMultiplyAdd }) => percent(shareOfMultiplyAdd)),
  figure("GB/s", ({ gigabytesPerSecond }) => threeDigits(gigabytesPerSecond)),
  figure("of copy", ({ shareOfCopy }) => percent(shareOfCopy)),
];

/** How a phase's rows call all of its products together. */
const ALL_PRODUCTS = "all products";

interface Sum {
  readonly calls: number;
  readonly ms: number;
  readonly operations: number;
  readonly bytes: number;
}
type Spent = Map<string, Sum>;
const NOTHING: Sum = { calls: 0, ms: 0, operations: 0, bytes: 0 };

/**
 * Runs each phase of an answer twice on the CPU engine, and tells where the time of the fastest goes. What
 * multiply-adds reach is measured again before each phase: machines slow down and recover.
 */
export async function profileOnCpu(
  subject: Subject,
  { dtype, threads, isWanted, onRow }: CpuProfileOptions,
): Promise<{ readonly adapter: string; readonly limits: CpuLimits }> {
  const arena = new Arena(true);
  const engine = await Engine.open(arena, true, threads);
  if (!engine) throw new Florence2Error("cpu_failed", "WebAssembly has no SIMD here: there is no engine");
  let spent: Spent = new Map();
  const onCall = (dispatch: Dispatch, ms: number, isLast: boolean) => {
    // A dispatch of two passes is one call, and its work counts once.
    const done = isLast
      ? { calls: 1, operations: operationsOf(dispatch), bytes: bytesBound(dispatch) }
      : NOTHING;
    for (const name of labelsOf(dispatch)) {
      const sum = spent.get(name) ?? NOTHING;
      spent.set(name, {
        calls: sum.calls + done.calls,
        ms: sum.ms + ms,
        operations: sum.operations + done.operations,
        bytes: sum.bytes + done.bytes,
      });
    }
  };
  const i8 = dtype === "q8" ? placeOfI8(await engine.productSpeeds()) : undefined;
  const runner = new CpuRunner(arena, engine, { onCall }, i8);
  try {
    const gigabytesPerSecond = await measureCopy(arena, engine);
    let gigaflopsPerSecond = await measureMultiplyAdd(engine);
    const { phases } = await openPhases(subject, runner, dtype, [1]);
    for await (const { phase, before, run, after, close } of phases) {
      // Whole answers are made of the other phases.
      if (phase.startsWith("<") || !isWanted(phase)) continue;
      const multiplyAdd = await measureMultiplyAdd(engine);
      gigaflopsPerSecond = Math.max(gigaflopsPerSecond, multiplyAdd);
      const runs: Spent[] = [];
      for (let time = 0; time < TIMES; time++) {
        await before?.();
        spent = new Map();
        runs.push(spent);
        await run();
        after?.();
      }
      close?.();
      const fastest = runs.reduce((a, b) => (wholeOf(b) < wholeOf(a) ? b : a));
      const whole = wholeOf(fastest);
      for (const [kernel, { calls, ms, operations, bytes }] of [...fastest].sort(
        ([, a], [, b]) => b.ms - a.ms,
      )) {
        const rates = { gigaflopsPerSecond: operations / ms / 1e6, gigabytesPerSecond: bytes / ms / 1e6 };
        const shareOfMultiplyAdd = rates.gigaflopsPerSecond / multiplyAdd;
        const shareOfCopy = rates.gigabytesPerSecond / gigabytesPerSecond;
        const share = ms / whole;
        onRow({ phase, kernel, calls, ms, share, operations, ...rates, shareOfMultiplyAdd, shareOfCopy });
      }
    }
    return { adapter: runner.name, limits: { gigaflopsPerSecond, gigabytesPerSecond } };
  } finally {
    runner.dispose();
  }
}

/** The products of a phase, all shapes together; by work, since a large one takes long. */
export interface ProductSpeed {
  readonly gigaflop: number;
  readonly gigaflopsPerSecond: number;
  /** Of what multiply-adds reach. */
  readonly shareOfMultiplyAdd: number;
}

/** The speed of all products of base or large on the CPU engine, in f32, from the image to the keys of the decoder. */
export async function productSpeed(subject: Subject, threads: number): Promise<ProductSpeed> {
  const products: CpuProfileRow[] = [];
  await profileOnCpu(subject, {
    dtype: "f32",
    threads,
    isWanted: (phase) => phase === "vision" || phase === "encoder",
    onRow: (row) => {
      if (row.kernel === ALL_PRODUCTS) products.push(row);
    },
  });
  const sum = (figureOf: (row: CpuProfileRow) => number) =>
    products.reduce((total, row) => total + figureOf(row), 0);
  const gigaflop = sum(({ operations }) => operations) / 1e9;
  const ms = sum((row) => row.ms);
  const atTheLimit = sum((row) => row.ms * row.shareOfMultiplyAdd);
  return { gigaflop, gigaflopsPerSecond: (1000 * gigaflop) / ms, shareOfMultiplyAdd: atTheLimit / ms };
}

/** Milliseconds of all kernels. */
function wholeOf(spent: Spent): number {
  return [...spent].reduce((sum, [name, { ms }]) => (name === ALL_PRODUCTS ? sum : sum + ms), 0);
}

/** Under which names a call counts: a product by its shape, and among all products. */
function labelsOf({ kernel, params }: Dispatch): string[] {
  if (kernel.name !== "matmul") return [kernel.name];
  return [`matmul ${params.M} x ${params.N} x ${params.K}`, ALL_PRODUCTS];
}

const TIMES = 2;
