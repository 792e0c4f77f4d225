import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ModelReport, withReports, writeReport } from "../../bench/report.ts";
import { sampleByTinybench } from "../../bench/tinybench.ts";
import type { GpuRunner } from "../../core/gpu/gpu_runner.ts";
import { Recording } from "../../core/recording.ts";
import type { AnyKernelCases } from "../../measure/case_runs.ts";
import { copyCases } from "../../measure/copy.ts";
import type { PhaseRow } from "../../measure/model.ts";
import { multiplyAddCases } from "../../measure/multiply_add.ts";
import { type ProfileRow, profileModel, profileOf } from "../../measure/profile.ts";
import { folderSubject } from "../../measure/subjects.ts";
import { measure } from "../../measure/timing.ts";
import { Watch } from "../../measure/watch.ts";
import { double, doubleKernel } from "../support/double_kernel.ts";
import { gpuMissing, openTestGpu } from "../support/gpu.ts";
import { checkCase } from "../support/kernel_check.ts";

describe.skipIf(gpuMissing)("the bench on a GPU", () => {
  let gpu: GpuRunner;
  let watch: Watch;
  beforeAll(async () => {
    gpu = await openTestGpu();
    watch = new Watch(gpu.device);
  });
  afterAll(() => gpu.dispose());

  it("copies, and multiplies and adds, as it says", async () => {
    const copy = { name: "small", elements: 4000 };
    expect(await checkCase(gpu, copyCases as unknown as AnyKernelCases, copy, "portable")).toBeUndefined();
    const multiplyAdd = { name: "small", elements: 4000, steps: 5 };
    const suite = multiplyAddCases as unknown as AnyKernelCases;
    expect(await checkCase(gpu, suite, multiplyAdd, "portable")).toBeUndefined();
  });

  it.each([
    ["by the clock", undefined],
    ["by tinybench", sampleByTinybench],
  ])("counts what one run asks of the device, and nothing around it, %s", async (_, sampler) => {
    const kernel = doubleKernel({});
    const x = gpu.upload("x", [1000], new Float32Array(1000).fill(3));
    const rec = new Recording({ profile: gpu.profile });
    const out = rec.keep(double(rec, kernel, double(rec, kernel, x)));
    const program = await gpu.prepare(rec);
    const run = async () => {
      await program.run(undefined, 3);
      const large = gpu.zeros("large", [2 ** 20]);
      expect((await gpu.read(out))[999]).toBe(12);
      gpu.free(large);
    };
    const before = async () => {
      gpu.free(gpu.zeros("elsewhere", [2 ** 22]));
      await program.run();
    };
    await run();
    const { bytes } = gpu.memory;
    const work = { run, before, pieces: () => 2 };
    const measured = await measure(watch, work, { seconds: 0, samples: 4, sampler });
    program.dispose();
    gpu.free(x);

    expect(measured).toMatchObject({ samples: 4, dispatches: 3, submits: 1, readbacks: 0.5 });
    // The large buffer; what reading back needs was made before.
    expect(measured.objects).toBe(0.5);
    expect(measured.peakBytes).toBe(bytes + 4 * 2 ** 20);
    if (gpu.profile.features.has("timestamps")) expect(measured.gpuMs).toBeGreaterThan(0);
    else expect(measured.gpuMs).toBeNull();
  });
});

describe.skipIf(gpuMissing)("the profile of a model", () => {
  it("has every call of a phase, by kernel and variant", async () => {
    const gpu = await openTestGpu();
    const rows: ProfileRow[] = [];
    try {
      const watch = new Watch(gpu.device, { eachCall: true });
      const onRow = (row: ProfileRow) => rows.push(row);
      await profileModel(folderSubject(), gpu, watch, { dtype: "auto", filter: "vision", onRow });
    } finally {
      gpu.dispose();
    }
    expect(rows.reduce((calls, row) => calls + row.calls, 0)).toBe(92);
    expect(rows.reduce((share, row) => share + row.share, 0)).toBeCloseTo(1, 9);
    expect(rows.map(({ gpuMs }) => gpuMs)).toEqual(rows.map(({ gpuMs }) => gpuMs).sort((a, b) => b - a));
    expect(rows.find(({ kernel }) => kernel.startsWith("window_attention/"))).toMatchObject({ calls: 6 });
  });

  it("leaves constants out of names", () => {
    const rows = profileOf("vision", [
      { pipeline: "matmul/tile 64 TILE=64 weight:f16 NORM=1", ms: 1 },
      { pipeline: "matmul/tile 64 TILE=64 weight:f32 NORM=0", ms: 2 },
      { pipeline: "layer_norm/portable", ms: 9 },
    ]);
    expect(rows).toEqual([
      { phase: "vision", kernel: "layer_norm/portable", calls: 1, gpuMs: 9, share: 0.75 },
      { phase: "vision", kernel: "matmul/tile 64", calls: 2, gpuMs: 3, share: 0.25 },
    ]);
  });
});

describe("the reports of the bench", () => {
  const results = mkdtempSync(join(tmpdir(), "florence2-bench-"));
  afterAll(() => rmSync(results, { recursive: true }));
  const text = "before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n";
  const row: PhaseRow = {
    phase: "vision",
    batch: 1,
    tokens: 0,
    ms: 12.345678,
    fastest: 11,
    p75: 13,
    samples: 5,
    gpuMs: null,
    hostMs: 1,
    dispatches: 132,
    submits: 2,
    readbacks: 0,
    objects: 1,
    peakBytes: 2 ** 24,
  };
  const report: ModelReport = {
    part: "model",
    origin: {
      adapter: "A (fast) one",
      processor: "P",
      processors: 2,
      load: 0.5,
      runtime: "Node",
      hostClock: "CPU time",
      commit: "abc",
      date: "2026-01-02T03:04:05.678Z",
    },
    model: "nano",
    dtype: "f16",
    hostPeakBytes: 2 ** 28,
    rows: [row],
  };

  it("are needed for the tables", () => {
    expect(() => withReports(text, results)).toThrow(/no reports/);
  });

  it("stand by adapter, with a plot, and go between the markers of a text as often as one likes", () => {
    expect(writeReport(results, report)).toBe(join(results, "a-fast-one", "nano.json"));
    const once = withReports(text, results);
    expect(once).toMatch(
      /^before\n<!-- bench -->\n\*\*nano\*\*, weights in f16, on A \(fast\) one, Node, 2 processors .*, 5 samples at least, abc,/,
    );
    expect(once).toMatch(/\| vision +\| +1 \| +\| +12\.3 \| +11 \| +13 \| +- \| +1 \| +132 \|/);
    expect(once).toMatch(/a-fast-one\/nano\.svg\)\n<!-- \/bench -->\nafter\n$/);
    expect(once).not.toContain("old");
    expect(withReports(once, results)).toBe(once);
  });

  it("of kernels say what share of a limit the cases of a variant reach", () => {
    const limits = { gigabytesPerSecond: 10, gigaflopsPerSecond: 100 };
    const limitsAfter = { gigabytesPerSecond: 9, gigaflopsPerSecond: 90 };
    const times = {
      ms: 1,
      fastest: 1,
      p75: 1,
      samples: 5,
      gpuMs: 1,
      gigabytesPerSecond: 1,
      gigaflopsPerSecond: 1,
    };
    const kernel = { kernel: "matmul", variant: "tile", isDefault: true, ...times };
    const rows = [
      { ...kernel, case: "moves", shareOfCopy: 0.5, shareOfMultiplyAdd: 0.1 },
      { ...kernel, case: "computes", shareOfCopy: 0.2, shareOfMultiplyAdd: 0.75 },
    ];
    writeReport(results, { part: "kernels", origin: report.origin, limits, limitsAfter, rows });
    const tables = withReports(text, results);
    expect(tables).toContain("reaches 10 GB/s (9 GB/s at the end)");
    expect(tables).toMatch(/\| matmul, tile +\| +2 \| +50 % \| +75 % \|/);
    expect(tables).not.toContain("times as long");

    const few = { ...kernel, case: "few rows", shareOfCopy: 0.2, shareOfMultiplyAdd: 0.1 };
    const choice = [
      { ...few, variant: "rows", gpuMs: 2 },
      { ...few, isDefault: false, gpuMs: 5 },
    ];
    writeReport(results, { part: "kernels", origin: report.origin, limits, limitsAfter, rows: choice });
    expect(withReports(text, results)).toMatch(
      /\| matmul +\| few rows +\| rows +\| +2 \| tile +\| +5 \| +2\.50 \|/,
    );
  });

  it("have no place in a text without markers", () => {
    expect(() => withReports("no place", results)).toThrow(/<!-- bench -->/);
  });
});
