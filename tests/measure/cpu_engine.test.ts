import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { growthTable } from "../../bench/cpu_report.ts";
import { withReports, writeReport } from "../../bench/report.ts";
import { CpuRunner } from "../../core/cpu/cpu_runner.ts";
import { type CpuProfileRow, productSpeed, profileOnCpu } from "../../measure/cpu_profile.ts";
import { measureGrowth, threadsUpTo } from "../../measure/growth.ts";
import { originOf } from "../../measure/origin.ts";
import { folderSubject } from "../../measure/subjects.ts";

const nano = folderSubject();

describe("the profile of the CPU engine", () => {
  it("has every call of the wanted phases, beside what the engine reaches", async () => {
    const rows: CpuProfileRow[] = [];
    const { adapter, limits } = await profileOnCpu(nano, {
      dtype: "f32",
      threads: 2,
      isWanted: (phase) => phase === "vision",
      onRow: (row) => rows.push(row),
    });
    const runner = await CpuRunner.open({ threads: 2 });
    runner.dispose();
    expect(adapter).toBe(runner.name);
    for (const limit of Object.values(limits)) expect(limit).toBeGreaterThan(0);

    expect(new Set(rows.map(({ phase }) => phase))).toEqual(new Set(["vision"]));
    const all = rows.find(({ kernel }) => kernel === "all products")!;
    const products = rows.filter(({ kernel }) => kernel.startsWith("matmul "));
    const sum = (of: readonly CpuProfileRow[], figure: "calls" | "operations" | "share") =>
      of.reduce((total, row) => total + row[figure], 0);
    expect(sum(products, "calls")).toBe(all.calls);
    expect(sum(products, "operations")).toBe(all.operations);
    expect(sum(rows, "share") - all.share).toBeCloseTo(1, 9);
    // A feed-forward layer of the third stage, in its three blocks twice: 64 tokens.
    const wide = rows.find(({ kernel }) => kernel === "matmul 64 x 512 x 128")!;
    expect(wide.operations).toBe(wide.calls * 2 * 64 * 512 * 128);
    expect(wide.gigaflopsPerSecond * wide.ms * 1e6).toBeCloseTo(wide.operations, 0);
    // Two passes each.
    expect(rows.find(({ kernel }) => kernel === "channel_scores")!.calls).toBe(6);
    expect(rows.find(({ kernel }) => kernel === "layer_norm")!.operations).toBe(0);
  });

  it("sums up the products from the image to the keys of the decoder", async () => {
    const { gigaflop, gigaflopsPerSecond, shareOfMultiplyAdd } = await productSpeed(nano, 1);
    // 2 x M x N x K of all products of the vision tower, the projector and the encoder.
    expect(gigaflop).toBeCloseTo(0.389464064, 9);
    expect(gigaflopsPerSecond).toBeGreaterThan(0);
    expect(shareOfMultiplyAdd).toBeGreaterThan(0);
  });
});

describe("growth with threads", () => {
  it("is measured with powers of two, and with all processors", () => {
    expect([1, 2, 6, 8].map(threadsUpTo)).toEqual([[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]);
  });

  it("has a time for each number of threads, for phases by batch", async () => {
    const { adapter, rows } = await measureGrowth(nano, {
      dtype: "auto",
      threads: [1, 2],
      batches: [1, 3],
      effort: { seconds: 0, samples: 1 },
      filter: "encoder",
    });
    expect(adapter).toMatch(/2 threads$/);
    expect(rows.map(({ phase, batch, ms }) => [phase, batch, ms.length])).toEqual([
      ["encoder", 1, 2],
      ["encoder", 3, 2],
    ]);
  });

  it("is told as a gain over one thread", () => {
    const table = growthTable({ threads: [1, 2], rows: [{ phase: "vision", batch: 1, ms: [30, 20] }] });
    expect(table).toMatch(/\| vision +\| +1 \| +30 \| +20 \| +1\.50 \|$/);
  });
});

describe("the reports of the CPU engine", () => {
  const results = mkdtempSync(join(tmpdir(), "florence2-cpu-"));
  afterAll(() => rmSync(results, { recursive: true }));
  const origin = originOf("CPU: an engine");
  const row: CpuProfileRow = {
    phase: "vision",
    kernel: "matmul 1 x 2 x 3",
    calls: 4,
    ms: 5,
    share: 0.5,
    operations: 6,
    gigaflopsPerSecond: 70,
    gigabytesPerSecond: 8,
    shareOfMultiplyAdd: 0.75,
    shareOfCopy: 0.5,
  };

  it("stand in its folder, and their tables leave out what takes little", () => {
    const rows = [row, { ...row, kernel: "layer_norm", share: 0.01 }];
    const limits = { gigaflopsPerSecond: 93, gigabytesPerSecond: 16 };
    const files = [
      writeReport(results, { part: "profile", origin, model: "base", limits, rows }),
      writeReport(results, { part: "growth", origin, model: "base", threads: [1], rows: [] }),
    ];
    const folder = join(results, "cpu-an-engine");
    expect(files).toEqual([join(folder, "base.profile.json"), join(folder, "base.growth.json")]);
    expect(JSON.parse(readFileSync(files[0]!, "utf8")).rows).toEqual(rows);
    const tables = withReports("<!-- bench -->\n<!-- /bench -->\n", results);
    expect(tables).toContain("Multiply-adds reach 93 GFLOP/s, copying 16 GB/s.");
    expect(tables).toMatch(/matmul 1 x 2 x 3 +\| +4 \| +5 \| +50 % \| +70 \| +75 % \| +8 \| +50 % \|/);
    expect(tables).not.toContain("layer_norm");
    expect(tables).toContain("**base** with more threads and larger batches: CPU: an engine on ");
  });
});
