import { describe, expect, it } from "vitest";
import { growthTable } from "../../bench/report.ts";
import { CpuRunner } from "../../core/cpu/cpu_runner.ts";
import type { CpuLimits } from "../../measure/cpu_limits.ts";
import { type CpuProfileRow, productSpeed, profileOnCpu } from "../../measure/cpu_profile.ts";
import { measureGrowth, threadsUpTo } from "../../measure/growth.ts";
import { folderSubject } from "../../measure/subjects.ts";

const nano = folderSubject();

describe("the profile of the CPU engine", () => {
  it("has every call of the wanted phases, beside what the engine reaches", async () => {
    const rows: CpuProfileRow[] = [];
    const seen: { name: string; limits: CpuLimits }[] = [];
    await profileOnCpu(nano, {
      dtype: "f32",
      threads: 2,
      isWanted: (phase) => phase === "vision",
      onLimits: (name, limits) => seen.push({ name, limits }),
      onRow: (row) => rows.push(row),
    });
    const runner = await CpuRunner.open({ threads: 2 });
    runner.dispose();
    expect(seen.map(({ name }) => name)).toEqual([runner.name]);
    for (const limit of Object.values(seen[0]!.limits)) expect(limit).toBeGreaterThan(0);

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
    expect(rows.find(({ kernel }) => kernel === "layer_norm")!.operations).toBe(0);
  });

  it("sums up the products from the image to the keys of the decoder", async () => {
    const { gigaflop, gigaflopsPerSecond, shareOfMultiplyAdd } = await productSpeed(nano, 1);
    // 2 x M x N x K of all products of the vision tower, the projector and the encoder.
    expect(gigaflop).toBeGreaterThan(0.4);
    expect(gigaflop).toBeLessThan(1);
    expect(gigaflopsPerSecond).toBeGreaterThan(0);
    expect(shareOfMultiplyAdd).toBeGreaterThan(0);
  });
});

describe("growth with threads", () => {
  it("is measured with powers of two, and with all processors", () => {
    expect([1, 2, 6, 8].map(threadsUpTo)).toEqual([[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]);
  });

  it("has a time for each number of threads, for phases by batch", async () => {
    const rows = await measureGrowth(nano, {
      dtype: "auto",
      threads: [1, 2],
      batches: [1, 3],
      effort: { seconds: 0, samples: 1 },
      filter: "encoder",
    });
    expect(rows.map(({ phase, batch, ms }) => [phase, batch, ms.length])).toEqual([
      ["encoder", 1, 2],
      ["encoder", 3, 2],
    ]);
  });

  it("is told as a gain over one thread", () => {
    const table = growthTable("nano", [1, 2], [{ phase: "vision", batch: 1, ms: [30, 20] }]);
    expect(table).toMatch(/\| vision +\| +1 \| +30 \| +20 \| +1\.50 \|$/);
  });
});
