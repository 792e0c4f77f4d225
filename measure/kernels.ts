import type { Variant } from "../core/kernel.ts";
import { Recording } from "../core/recording.ts";
import type { Runner } from "../core/runner.ts";
import { BYTES_PER_ELEMENT, bytesOf, elementsOf } from "../core/tensor.ts";
import { type KernelCases, uploadInputs } from "../kernels/shared/kernel_cases.ts";
import { type Case, dispatchOf, inputsOf, loadKernelCases } from "./case_runs.ts";
import { copyCases } from "./copy.ts";
import { multiplyAddCases } from "./multiply_add.ts";
import { type Effort, type Measured, measure } from "./timing.ts";
import type { Observer } from "./watch.ts";

/** What a device gives to kernels that do nothing but move memory, and nothing but multiply and add. */
export interface Limits {
  readonly gigabytesPerSecond: number;
  readonly gigaflopsPerSecond: number;
}

/** One case of one variant. Rates follow from the least bytes and operations that it needs, and the GPU's time if known. */
export interface KernelRow extends Limits, Pick<Measured, "ms" | "fastest" | "p75" | "samples" | "gpuMs"> {
  readonly kernel: string;
  readonly variant: string;
  readonly case: string;
  /** Whether the case gets this variant unless another is asked for. */
  readonly isDefault: boolean;
  /** Of what the copy and the multiply-add kernel reached in the same run. */
  readonly shareOfCopy: number;
  readonly shareOfMultiplyAdd: number;
}

export interface KernelFindings {
  /** What all shares are of: measured before anything else. */
  readonly limits: Limits;
  /** The same measured again at the end: how much the machine changed on the way. */
  readonly limitsAfter: Limits;
  readonly rows: readonly KernelRow[];
}

export interface KernelBenchOptions {
  readonly effort: Effort;
  /** Only what has this in its kernel, variant or case. */
  readonly filter: string;
  /** Only the first case that a variant serves, and those that several variants serve. */
  readonly fewCases: boolean;
  readonly onRow: (row: KernelRow) => void;
}

/** A sample is to take this long: well above the cost of submitting and waiting. */
const SAMPLE_MS = 20;
const MAX_REPEATS = 200;

/**
 * Times every case of every kernel variant, with random inputs; weights in f32 if the variant reads them so.
 *
 * Wall time goes from the submission of a recording to the read-back of what comes behind it. Short calls are
 * recorded many times over in one submission, so that the wait at its end does not count; their inputs then
 * come from the device's caches, and may beat the copy, which is of 64 MiB.
 */
export async function benchKernels(
  runner: Runner,
  observer: Observer,
  { effort, filter, fewCases, onRow }: KernelBenchOptions,
): Promise<KernelFindings> {
  const time = <C extends Case>(suite: KernelCases<C>, testCase: C, variant: Variant) =>
    timeCase(runner, observer, suite, testCase, variant, effort);
  const { rates: limits, timed: limitCases } = await timeLimits(runner, observer, effort);
  const rows: KernelRow[] = [];
  const add = (timed: TimedCase) => {
    const row = {
      ...timed,
      shareOfCopy: timed.gigabytesPerSecond / limits.gigabytesPerSecond,
      shareOfMultiplyAdd: timed.gigaflopsPerSecond / limits.gigaflopsPerSecond,
    };
    rows.push(row);
    onRow(row);
  };
  for (const timed of limitCases) add(timed);
  for (const suite of await loadKernelCases()) {
    const seen = new Set<Variant>();
    for (const testCase of suite.cases) {
      const variants = suite.kernel.variants.filter(({ label, weights: [format] = [] }) =>
        dispatchOf(suite, testCase, label, runner.profile, format),
      );
      const isFirst = variants.some((variant) => !seen.has(variant));
      if (fewCases && !isFirst && variants.length < 2) continue;
      for (const variant of variants) {
        seen.add(variant);
        if (`${suite.kernel.name} ${variant.label} ${testCase.name}`.includes(filter))
          add(await time(suite, testCase, variant));
      }
    }
  }
  return { limits, limitsAfter: await measureLimits(runner, observer, effort), rows };
}

/** What copying, and multiplying and adding, reach. */
export async function measureLimits(runner: Runner, observer: Observer, effort: Effort): Promise<Limits> {
  return (await timeLimits(runner, observer, effort)).rates;
}

async function timeLimits(runner: Runner, observer: Observer, effort: Effort) {
  const time = <C extends Case>(suite: KernelCases<C>) =>
    timeCase(runner, observer, suite, suite.cases[0]!, suite.kernel.variants[0]!, effort);
  const copy = await time(copyCases);
  const multiplyAdd = await time(multiplyAddCases);
  const { gigabytesPerSecond } = copy;
  const { gigaflopsPerSecond } = multiplyAdd;
  return { rates: { gigabytesPerSecond, gigaflopsPerSecond }, timed: [copy, multiplyAdd] };
}

type TimedCase = Omit<KernelRow, "shareOfCopy" | "shareOfMultiplyAdd">;

/** Times a case that the variant can serve on this device. */
async function timeCase<C extends Case>(
  runner: Runner,
  observer: Observer,
  suite: KernelCases<C>,
  testCase: C,
  { label: variant, weights: [format] = [] }: Variant,
  effort: Effort,
): Promise<TimedCase> {
  const tensors = uploadInputs(runner, inputsOf(suite, testCase, format));
  const fence = runner.zeros("fence", [1]);
  const once = new Recording({ profile: runner.profile, variants: { [suite.kernel.name]: variant } });
  const unasked = new Recording({ profile: runner.profile });
  suite.record(unasked, tensors, testCase);
  const outputs = Object.values(suite.record(once, tensors, testCase));
  for (const output of outputs) once.keep(output);
  try {
    const program = await runner.prepare(once);
    const run = async (times: number) => {
      await program.run(undefined, times);
      await runner.read(fence);
    };
    // The first run may compile, on some devices.
    await run(1);
    const results = await Promise.all(outputs.map((output) => runner.read(output)));
    if (results.every((result) => result.every((element) => element === 0)))
      throw new Error(`${suite.kernel.name}/${variant}, ${testCase.name}: nothing was computed`);
    const start = performance.now();
    await run(1);
    const repeats = Math.ceil(Math.min(SAMPLE_MS / (performance.now() - start), MAX_REPEATS));
    const work = { run: () => run(repeats), pieces: () => repeats };
    const { ms, fastest, p75, samples, gpuMs } = await measure(observer, work, effort);
    program.dispose();

    const { bytes: bytesInSingle, operations } = suite.work(testCase);
    const bytes = Object.values(tensors).reduce(
      (sum, tensor) => sum - BYTES_PER_ELEMENT * elementsOf(tensor.shape) + bytesOf(tensor),
      bytesInSingle,
    );
    const rateMs = gpuMs ?? ms;
    return {
      kernel: suite.kernel.name,
      variant,
      case: testCase.name,
      isDefault: unasked.dispatches.some(({ variant: { label } }) => label === variant),
      ms,
      fastest,
      p75,
      samples,
      gpuMs,
      gigabytesPerSecond: bytes / rateMs / 1e6,
      gigaflopsPerSecond: operations / rateMs / 1e6,
    };
  } finally {
    for (const tensor of [...Object.values(tensors), fence]) runner.free(tensor);
  }
}
