/** `npm run bench`: times the kernels and a model on this machine's GPU; profiles the CPU engine, too. */
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fail } from "../commands/terminal.ts";
import { openRunner } from "../core/device.ts";
import { Florence2Error } from "../core/errors.ts";
import type { GpuRunner } from "../core/gpu/gpu_runner.ts";
import { type CpuProfileRow, profileOnCpu } from "../measure/cpu_profile.ts";
import { measureGrowth, threadsUpTo } from "../measure/growth.ts";
import { benchKernels, type KernelRow } from "../measure/kernels.ts";
import { benchModel, type PhaseRow } from "../measure/model.ts";
import { originOf } from "../measure/origin.ts";
import { PROFILE_COLUMNS, type ProfileRow, profileModel } from "../measure/profile.ts";
import { folderSubject, generatedSubject } from "../measure/subjects.ts";
import { tableHead, tableRow } from "../measure/table.ts";
import { Watch } from "../measure/watch.ts";
import { integer } from "../model/generation/options.ts";
import { checkDtype } from "../model/weights/loader.ts";
import { cpuSection } from "./cpu_report.ts";
import { generatedFolder } from "./generated_folder.ts";
import { HOST_COLUMNS, measureHost } from "./host.ts";
import { KERNEL_COLUMNS, PHASE_COLUMNS, type Report, withReports, writeReport } from "./report.ts";
import { sampleByTinybench } from "./tinybench.ts";

const HELP = `npm run bench -- [model] [kernels] [profile] [growth] [host] [readme] [options]

Times a model, phase by phase, and every kernel on this machine's GPU; model and kernels unless some are named.
Results go to the results folder as JSON, by adapter, and a plot of the phases with them. profile tells where the
time of each phase goes on the GPU or, with --device cpu, on the CPU engine, kernel by kernel. growth tells what more
threads and larger batches gain on the CPU engine. host tells how long the event loop of a process with the CPU engine
stands still, and how much memory it has. readme puts the tables of all results in that
folder into its README.md.

  --model DIR         a checkpoint folder (default: the bundled one)
  --size base|large   a model of this size instead, with generated weights
  --dtype TYPE        format of its weights, as in fromPretrained (default: auto, as in the files)
  --filter TEXT       only phases, kernels, variants or cases with this in their name; nothing is written
  --device gpu|cpu    what profile looks at (default: gpu). On the CPU engine it tells GFLOP/s and GB/s of each kernel
                      and of each shape of product, beside what multiply-adds and copying reach there
  --threads N         of the CPU engine, of growth the most (default: as many as there are processors)
  --quick             two samples of each, no batches, and of each kernel's cases the first that a variant serves and
                      those that several variants serve
  --results DIR       (default: bench/results)
  --help

ms is wall time, the median of the samples; the fastest and the third quartile (p75) say how steady it was. GPU ms
is the time in compute passes by the GPU's clock, where it has one. host ms is what the main thread did not wait for
the device, in CPU time where Node tells it, else in wall time. Dispatches, submits, read-backs and created objects
are those of one run or, for further tokens, of one token; MiB is the device memory in use at most. The first token
comes with those that are submitted together with it.
`;

const PARTS = ["model", "kernels", "profile", "growth", "host", "readme"];
const sampler = sampleByTinybench;
const THOROUGH = { effort: { seconds: 1, samples: 5, sampler }, batches: [1, 8] };
const QUICK = { effort: { seconds: 0, samples: 2, sampler }, batches: [1] };

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      model: { type: "string" },
      size: { type: "string" },
      dtype: { type: "string", default: "auto" },
      filter: { type: "string", default: "" },
      device: { type: "string", default: "gpu" },
      threads: { type: "string" },
      quick: { type: "boolean", default: false },
      results: { type: "string", default: "bench/results" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const unknown = positionals.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) throw invalid("part", unknown, PARTS.join(", "));
  const { size } = values;
  if (size !== undefined && size !== "base" && size !== "large")
    throw invalid("--size", size, "base or large");
  if (size !== undefined && values.model !== undefined)
    throw invalid("--model", values.model, `none beside --size ${size}`);

  const { device } = values;
  if (device !== "gpu" && device !== "cpu") throw invalid("--device", device, "gpu or cpu");
  if (device === "cpu" && positionals.some((part) => part === "model" || part === "kernels"))
    throw invalid("--device", device, "gpu beside model or kernels");
  const threads =
    values.threads === undefined ? undefined : integer("--threads", Number(values.threads), 1, 16);
  const parts =
    positionals.length > 0 ? positionals : device === "cpu" ? ["profile", "growth"] : ["model", "kernels"];
  const subject = size ? generatedSubject(size) : folderSubject(values.model);
  const { effort, batches } = values.quick ? QUICK : THOROUGH;
  const { dtype, filter, results } = values;
  checkDtype(dtype);
  const say = (text: string) => process.stdout.write(`${text}\n`);
  const model = dtype === "auto" ? subject.name : `${subject.name}.${dtype}`;
  const write = (report: Report) => {
    if (filter === "") say(`\nWritten to ${writeReport(results, report)}`);
  };

  // The model first: the peaks of its memory are to be its own.
  if (parts.includes("model")) {
    await withGpu(async (runner, watch) => {
      const origin = originOf(runner.name);
      say(`\n${subject.name} on ${runner.name}\n\n${tableHead(PHASE_COLUMNS)}`);
      const onRow = (row: PhaseRow) => say(tableRow(PHASE_COLUMNS, row));
      const options = { dtype, effort, batches, filter, onRow };
      const findings = await benchModel(subject, runner, watch, options);
      const hostPeakBytes = process.resourceUsage().maxRSS * 1024;
      write({ part: "model", origin, model, hostPeakBytes, ...findings });
    });
  }
  if (parts.includes("kernels")) {
    await withGpu(async (runner, watch) => {
      const origin = originOf(runner.name);
      say(`\nKernels on ${runner.name}\n\n${tableHead(KERNEL_COLUMNS)}`);
      const onRow = (row: KernelRow) => say(tableRow(KERNEL_COLUMNS, row));
      const options = { effort, filter, fewCases: values.quick, onRow };
      write({ part: "kernels", origin, ...(await benchKernels(runner, watch, options)) });
    });
  }
  if (parts.includes("growth")) {
    const counts = threadsUpTo(threads ?? availableParallelism());
    const options = { dtype, threads: counts, batches: [1, 8], effort: QUICK.effort, filter };
    const { adapter, rows } = await measureGrowth(subject, options);
    const growth = { part: "growth", origin: originOf(adapter), model, threads: counts, rows } as const;
    say(`\n${cpuSection(growth)}`);
    write(growth);
  }
  if (parts.includes("host")) {
    const folder = size ? await generatedFolder(size) : subject.folder!;
    say(`\n${model} on the CPU engine, in a process of its own\n\n${tableHead(HOST_COLUMNS)}`);
    for await (const row of measureHost({ folder, dtype, threads })) say(tableRow(HOST_COLUMNS, row));
  }
  if (parts.includes("profile") && device === "cpu") {
    const rows: CpuProfileRow[] = [];
    const { adapter, limits } = await profileOnCpu(subject, {
      dtype,
      threads,
      isWanted: (phase) => phase.includes(filter),
      onRow: (row) => rows.push(row),
    });
    const profile = { part: "profile", origin: originOf(adapter), model, limits, rows } as const;
    say(`\n${cpuSection(profile)}`);
    write(profile);
  }
  if (parts.includes("profile") && device === "gpu") {
    await withGpu(
      async (runner, watch) => {
        if (!runner.device.features.has("timestamp-query"))
          throw new Florence2Error(
            "gpu_unavailable",
            `${runner.name} has no timestamp-query: it can't tell how long a kernel takes`,
          );
        say(`\n${subject.name} on ${runner.name}\n\n${tableHead(PROFILE_COLUMNS)}`);
        const onRow = (row: ProfileRow) => say(tableRow(PROFILE_COLUMNS, row));
        await profileModel(subject, runner, watch, { dtype, filter, onRow });
      },
      { eachCall: true },
    );
  }
  if (parts.includes("readme")) {
    const tables = join(results, "README.md");
    writeFileSync(tables, withReports(readFileSync(tables, "utf8"), results));
    say(`${tables} has the tables`);
  }
}

async function withGpu(
  body: (runner: GpuRunner, watch: Watch) => Promise<void>,
  watched?: { readonly eachCall: boolean },
): Promise<void> {
  const runner = (await openRunner("gpu")) as GpuRunner;
  try {
    await body(runner, new Watch(runner.device, watched));
  } finally {
    runner.dispose();
  }
}

function invalid(option: string, found: string, expected: string): Florence2Error {
  return new Florence2Error("option_invalid", `${option} is ${found}, expected ${expected}`, {
    [option]: found,
  });
}

process.exitCode = await main(process.argv.slice(2)).then(() => 0, fail);
