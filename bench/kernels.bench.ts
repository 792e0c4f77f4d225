/**
 * Times every case of every kernel variant on this machine's GPU, prints a table and writes it as JSON.
 *
 *   npm run bench -- [--filter text] [--seconds 1] [--json bench/results/kernels.json]
 *
 * Wall time, from the submission of a recording to the read-back of four bytes behind it. Short calls
 * are recorded many times over in one submission, so that the wait at its end does not count; their
 * inputs then come from the device's caches, and may beat the copy, which is of 64 MiB.
 */
import { readdirSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { Bench } from "tinybench";
import { openRunner } from "../core/device.ts";
import type { KernelCases } from "../core/kernel_cases.ts";
import { Recording } from "../core/recording.ts";
import type { Runner } from "../core/runner.ts";
import { randomArrays } from "../tests/support/random.ts";
import { copyCases } from "./copy.ts";
import { currentCommit, type Report, type Row, tableHead, tableRow, writeReport } from "./report.ts";

type Case = { readonly name: string };
type Timed = Omit<Row, "shareOfCopy">;

/** A sample is to take this long: well above the cost of submitting and waiting. */
const SAMPLE_MS = 20;
const MAX_REPEATS = 200;
const MIN_SAMPLES = 5;

/** The cases of all kernels: `kernels/<name>/<name>.cases.ts`, or what the build made of them. */
async function allKernelCases(): Promise<KernelCases<Case>[]> {
  const kernels = new URL("../kernels/", import.meta.url);
  const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const names = readdirSync(kernels, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(`.cases.${ending}`))
    .sort();
  const modules = await Promise.all(
    names.map((name) => import(new URL(name, kernels).href) as Promise<{ default: KernelCases<Case> }>),
  );
  return modules.map((module) => module.default);
}

/** `undefined` where the variant cannot serve the case on this device. */
async function timeCase(
  runner: Runner,
  suite: KernelCases<Case>,
  testCase: Case,
  variant: string,
  seconds: number,
): Promise<Timed | undefined> {
  const inputs = Object.entries(suite.inputs(testCase, randomArrays(1)));
  const tensors = Object.fromEntries(
    inputs.map(([name, { shape, data }]) => [name, runner.upload(name, shape, data)]),
  );
  const fence = runner.zeros("fence", [1]);
  const record = (repeats: number) => {
    const rec = new Recording({ profile: runner.profile, variants: { [suite.kernel.name]: variant } });
    for (let i = 0; i < repeats; i++) suite.record(rec, tensors, testCase);
    return rec;
  };
  const prepare = async (repeats: number) => {
    const program = await runner.prepare(record(repeats));
    const run = async () => {
      await program.run();
      await runner.read(fence);
    };
    // The first run may compile, on some devices.
    await run();
    return { run, dispose: () => program.dispose() };
  };

  try {
    if (!record(1).dispatches.some((dispatch) => dispatch.variant.label === variant)) return undefined;
    const single = await prepare(1);
    const start = performance.now();
    await single.run();
    const repeats = Math.ceil(Math.min(SAMPLE_MS / (performance.now() - start), MAX_REPEATS));
    single.dispose();

    const many = await prepare(repeats);
    const bench = new Bench({ time: 1000 * seconds, iterations: MIN_SAMPLES, warmup: false, throws: true });
    bench.add(testCase.name, many.run, { async: true });
    const [task] = await bench.run();
    many.dispose();
    if (task?.result.state !== "completed") throw new Error(`${testCase.name}: ${task?.result.state}`);

    const { min, p50, p75, samplesCount } = task.result.latency;
    const { bytes, operations } = suite.work(testCase);
    const ms = p50 / repeats;
    return {
      kernel: suite.kernel.name,
      variant,
      case: testCase.name,
      ms,
      fastest: min / repeats,
      p75: p75 / repeats,
      samples: samplesCount,
      gigabytesPerSecond: bytes / ms / 1e6,
      gigaflopsPerSecond: operations / ms / 1e6,
    };
  } finally {
    for (const tensor of [...Object.values(tensors), fence]) runner.free(tensor);
  }
}

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      filter: { type: "string", default: "" },
      seconds: { type: "string", default: "1" },
      json: { type: "string", default: "bench/results/kernels.json" },
    },
  });
  const seconds = Number(values.seconds);
  if (!(seconds > 0)) throw new Error(`--seconds ${values.seconds}: expected a number above 0`);

  const runner = await openRunner("gpu");
  try {
    console.log(`${runner.name}\n\n${tableHead()}`);
    const rows: Row[] = [];
    const add = (timed: Timed, copyRate: number) => {
      const row = { ...timed, shareOfCopy: timed.gigabytesPerSecond / copyRate };
      rows.push(row);
      console.log(tableRow(row));
    };

    const copy = await timeCase(runner, copyCases, copyCases.cases[0]!, "portable", seconds);
    const copyRate = copy!.gigabytesPerSecond;
    add(copy!, copyRate);
    for (const suite of await allKernelCases()) {
      for (const { label } of suite.kernel.variants) {
        for (const testCase of suite.cases) {
          if (!`${suite.kernel.name} ${label} ${testCase.name}`.includes(values.filter)) continue;
          const timed = await timeCase(runner, suite, testCase, label, seconds);
          if (timed) add(timed, copyRate);
        }
      }
    }

    const report: Report = {
      adapter: runner.name,
      runtime: `Node ${process.version}, ${process.platform} ${process.arch}`,
      commit: currentCommit(),
      date: new Date().toISOString(),
      copyGigabytesPerSecond: copyRate,
      rows,
    };
    writeReport(values.json, report);
    console.log(`\nwritten to ${values.json}`);
  } finally {
    runner.dispose();
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(process.argv.slice(2));
}
