import { CpuRunner } from "../core/cpu/cpu_runner.ts";
import { Recording } from "../core/recording.ts";
import type { Runner } from "../core/runner.ts";
import type { TensorData } from "../core/tensor.ts";
import type { PackedInputs } from "../kernels/shared/kernel_cases.ts";
import {
  type AnyKernelCases,
  type Case,
  dispatchOf,
  inputsOf,
  type Outputs,
  runCase,
  type WeightFormat,
  weightFormats,
} from "./case_runs.ts";

/** One case of one variant, beside the kernel's twin. */
export interface CaseCheck {
  readonly kernel: string;
  /** A label, or `compiled` for the kernel of the CPU engine. */
  readonly variant: string;
  readonly case: string;
  /** What weights are stored as; empty where there are none. */
  readonly weights: string;
  /** The largest |found - expected| / (1 + |expected|); infinite where one of them alone is NaN. */
  readonly worst: number;
  readonly tolerance: number;
  /** Which output and element is the worst, with its value and the expected one. */
  readonly where: string;
  /** Milliseconds; none where an earlier case has compiled the same. */
  readonly compileMs: number;
}

/** What a kernel of the CPU engine is called beside the variants of shaders. */
const COMPILED = "compiled";

/** The names of all checks of a kernel's cases that a runner can serve. */
export function* checksOf(
  runner: Runner,
  suite: AnyKernelCases,
): Generator<{ testCase: Case; format: WeightFormat | undefined; variants: readonly string[] }> {
  for (const testCase of suite.cases) {
    for (const format of suite.weights ? weightFormats(suite, testCase, runner.profile) : [undefined]) {
      const labels = suite.kernel.variants
        .map(({ label }) => label)
        .filter((label) => dispatchOf(suite, testCase, label, runner.profile, format));
      const variants = runner.kind === "gpu" ? labels : [COMPILED];
      if (variants.length > 0) yield { testCase, format, variants };
    }
  }
}

/** The inputs of a case, and the outputs of the twin. */
export interface TwinRun {
  readonly inputs: PackedInputs;
  readonly outputs: Outputs;
}

/** Runs the twin in a case; its variants share this. */
export async function runTwin(
  suite: AnyKernelCases,
  testCase: Case,
  format?: WeightFormat,
): Promise<TwinRun> {
  const inputs = inputsOf(suite, testCase, format);
  return { inputs, outputs: await runCase(new CpuRunner(), suite, testCase, inputs) };
}

/** Compiles and runs a case on a device, and compares it with what the twin has computed. */
export async function checkCase(
  runner: Runner,
  suite: AnyKernelCases,
  testCase: Case,
  variant: string,
  format: WeightFormat | undefined,
  twin: TwinRun,
): Promise<CaseCheck> {
  const { kernel, tolerance: allowed } = suite;
  const used = kernel.variants.find(({ label }) => label === variant) ?? kernel.variants.at(-1)!;
  const compileMs = await compileTime(runner, suite, testCase, variant, format);
  const label = variant === COMPILED ? undefined : variant;
  const found = await runCase(runner, suite, testCase, twin.inputs, label);
  let [worst, where] = [0, ""];
  for (const [name, { data }] of twin.outputs) {
    const error = largestError(found.get(name)!.data, data);
    if (error.worst <= worst) continue;
    worst = error.worst;
    where = `${name}[${error.at}] is ${found.get(name)!.data[error.at]} instead of ${data[error.at]}`;
  }
  return {
    kernel: kernel.name,
    variant,
    case: testCase.name,
    weights: format ?? "",
    worst,
    tolerance: typeof allowed === "number" ? allowed : allowed(testCase, used, format),
    where,
    compileMs,
  };
}

async function compileTime(
  runner: Runner,
  suite: AnyKernelCases,
  testCase: Case,
  variant: string,
  format: WeightFormat | undefined,
): Promise<number> {
  const dispatch = dispatchOf(suite, testCase, variant, runner.profile, format);
  if (!dispatch) return 0;
  const start = performance.now();
  const recording = new Recording({ profile: runner.profile });
  recording.dispatches.push(dispatch);
  await runner.compile(recording);
  return performance.now() - start;
}

/** As `tolerance` of a kernel's cases counts it. */
function largestError(found: TensorData, expected: TensorData): { worst: number; at: number } {
  if (found.length !== expected.length) return { worst: Number.POSITIVE_INFINITY, at: 0 };
  let [worst, at] = [0, 0];
  for (const [i, e] of expected.entries()) {
    const f = found[i]!;
    if (Object.is(f, e) || f === e) continue;
    const error = Math.abs(f - e) / (1 + Math.abs(e));
    if (error <= worst) continue;
    [worst, at] = [Number.isNaN(error) ? Number.POSITIVE_INFINITY : error, i];
    if (worst === Number.POSITIVE_INFINITY) break;
  }
  return { worst, at };
}
