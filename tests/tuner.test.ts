/** Which variant is taken: by default, tuned, and found again. No test depends on how fast anything is. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Feature } from "../core/kernel.ts";
import { PORTABLE_PROFILE, Recording, type RecordingOptions } from "../core/recording.ts";
import type { Program, Runner } from "../core/runner.ts";
import { newTensor } from "../core/tensor.ts";
import { tune } from "../core/tuner.ts";
import { readTuning, writeTuning } from "../core/tuning_cache.ts";
import { Florence2, type ProgressEvent } from "../index.ts";
import { matmul } from "../kernels/matmul/matmul.ts";
import { gpuMissing, openTestGpu } from "./support/gpu.ts";
import { PlanningRunner } from "./support/planning_runner.ts";

const tiny = fileURLToPath(new URL("fixtures/flavours/transformers", import.meta.url));

/** Records a product of (M, K) and (N, K). */
function product(M: number, N: number, K: number, options: RecordingOptions = {}): Recording {
  const rec = new Recording(options);
  const tensor = (rows: number) => newTensor("tensor", [rows, K], "f32", "owned");
  matmul(rec, tensor(M), tensor(N));
  return rec;
}
const taken = (rec: Recording) => rec.dispatches[0]!.variant.label;
const profileWith = (...features: Feature[]) => ({ ...PORTABLE_PROFILE, features: new Set(features) });

describe("the variant of a product", () => {
  it.each([
    ["few rows, many columns", 3, 3072, "rows 8"],
    ["few rows and columns", 3, 256, "rows 4"],
    ["many of both", 2304, 512, "tile 64"],
    ["too few for a large GPU", 600, 512, "tile 32"],
  ])("of %s is by default one that leaves enough workgroups", (_, M, N, label) => {
    expect(taken(product(M, N, 64))).toBe(label);
  });

  it("is one of its own on software devices", () => {
    expect(taken(product(600, 512, 64, { profile: profileWith("software", "subgroups") }))).toBe("subgroups");
    expect(taken(product(600, 512, 64, { profile: profileWith("subgroups") }))).toBe("tile 32");
  });

  it("is what was tuned for sizes like these and weights so held", () => {
    const tuned = new Map([["matmul 1024x512x64 f32", "tile 64"]]);
    const profile = { ...PORTABLE_PROFILE, tuned };
    expect(taken(product(600, 512, 64, { profile }))).toBe("tile 64");
    expect(taken(product(300, 512, 64, { profile }))).toBe("tile 32");
    const half = new Recording({ profile });
    matmul(half, newTensor("x", [600, 64], "f32", "owned"), newTensor("w", [512, 64], "f16", "owned"));
    expect(taken(half)).toBe("tile 32");
  });

  it("is the default where what was tuned is unknown, or cannot run here", () => {
    for (const label of ["tile 7", "subgroups"]) {
      const profile = { ...PORTABLE_PROFILE, tuned: new Map([["matmul 1024x512x64 f32", label]]) };
      expect(taken(product(600, 512, 64, { profile }))).toBe("tile 32");
    }
  });
});

/** Runs nothing, and lets a clock go on by what each variant is said to take. */
class MadeUpRunner extends PlanningRunner {
  time = 0;
  readonly prepared: string[] = [];
  readonly #ms: (label: string) => number;

  constructor(ms: (label: string) => number) {
    super();
    this.#ms = ms;
  }

  override async prepare(recording: Recording): Promise<Program> {
    const program = await super.prepare(recording);
    const label = taken(recording);
    this.prepared.push(label);
    const run = async (_signal?: AbortSignal, times = 1) => {
      this.time += times * this.#ms(label);
    };
    return { ...program, run };
  }
}

describe("tuning", () => {
  const dispatches = [product(300, 128, 64), product(2000, 512, 64), product(1900, 512, 64)].flatMap(
    (rec) => rec.dispatches,
  );
  const [large, small] = ["matmul 2048x512x64 f32", "matmul 512x128x64 f32"];
  const tuneOn = (runner: MadeUpRunner, options = {}) =>
    tune(runner as Runner, dispatches, { now: () => runner.time, ...options });

  it("finds the fastest of each shape, the largest first, and gives all memory back", async () => {
    const runner = new MadeUpRunner((label) => (label === "tile 64" ? 3 : 4));
    const told: number[][] = [];
    const tuning = await tuneOn(runner, { onProgress: (...counts: number[]) => told.push(counts) });
    expect([...tuning]).toEqual([
      [large, "tile 64"],
      [small, "tile 64"],
    ]);
    expect(told).toEqual([
      [1, 2],
      [2, 2],
    ]);
    expect(runner.memory.bytes).toBe(0);
  });

  it("keeps the default where nothing is faster", async () => {
    const tuning = await tuneOn(new MadeUpRunner(() => 3));
    expect(tuning.get(large)).toBe(dispatches[1]!.variant.label);
    expect(tuning.get(small)).toBe(dispatches[0]!.variant.label);
  });

  it("looks at what is far behind once", async () => {
    const runner = new MadeUpRunner((label) => (label === "tile 32" ? 1 : 100));
    await tuneOn(runner);
    // Eight runs of the fastest at most, two of the other, for each of two shapes.
    expect(runner.time).toBeLessThan(2 * (2 * 100 + 8 + 600));
  });

  it("ends with its budget, and leaves the default to what was not compared", async () => {
    const runner = new MadeUpRunner(() => 30);
    expect([...(await tuneOn(runner, { budget: 100 }))]).toEqual([]);
    expect(runner.prepared).toEqual(["tile 64"]);
    const roomy = new MadeUpRunner(() => 30);
    expect([...(await tuneOn(roomy, { budget: 300 })).keys()]).toEqual([large]);
  });

  it("can be cancelled", async () => {
    const controller = new AbortController();
    const onProgress = () => controller.abort(new Error("enough"));
    const { signal } = controller;
    await expect(tuneOn(new MadeUpRunner(() => 1), { signal, onProgress })).rejects.toThrow("enough");
  });
});

describe("what was tuned", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "florence2-tuning-"));
    vi.stubEnv("FLORENCE2_CACHE", join(folder, "cache"));
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true });
  });
  const adapter = "A (fast) one";
  const tuning = new Map([["matmul 2x2x2 f32", "tile 32"]]);

  it("is found again for its adapter, in one whole file", async () => {
    expect([...(await readTuning(adapter))]).toEqual([]);
    await writeTuning(adapter, tuning);
    expect(await readTuning(adapter)).toEqual(tuning);
    expect([...(await readTuning("A [fast] one"))]).toEqual([]);
    expect(await readdir(join(folder, "cache/tuning"))).toEqual(["a-fast-one.json"]);
  });

  it.each([
    ["empty", () => ""],
    ["cut off", (text: string) => text.slice(0, -9)],
    ["of another form", (text: string) => text.replace('"form": 1', '"form": 2')],
    ["of numbers", (text: string) => text.replace('"tile 32"', "32")],
    ["a list", () => "[]"],
  ])("is as if it were not there if %s, and can be written anew", async (_, change) => {
    await writeTuning(adapter, tuning);
    const path = join(folder, "cache/tuning/a-fast-one.json");
    await writeFile(path, change(await readFile(path, "utf8")));
    expect([...(await readTuning(adapter))]).toEqual([]);
    await writeTuning(adapter, tuning);
    expect(await readTuning(adapter)).toEqual(tuning);
  });

  it.skipIf(gpuMissing)("by one model serves the next, which answers the same", async () => {
    const picture = { data: new Uint8Array(3 * 8 * 8).fill(77), width: 8, height: 8, channels: 3 } as const;
    const answer = async (options: { tune?: boolean; onProgress?: (event: ProgressEvent) => void }) => {
      const model = await Florence2.fromPretrained(tiny, { device: "gpu", ...options });
      const { tokens } = await model.run(picture, "<CAPTION>", { maxNewTokens: 4 });
      model.dispose();
      return tokens;
    };
    const expected = await answer({});
    const told: ProgressEvent[] = [];
    const { warn } = console;
    expect(await answer({ tune: true, onProgress: (event) => told.push(event) })).toEqual(expected);
    expect(console.warn).toBe(warn);
    const gpu = await openTestGpu();
    const kept = await readTuning(gpu.name);
    gpu.dispose();
    // However many shapes the budget was enough for: those that were told, and no others.
    expect(kept.size).toBe(told.filter(({ status }) => status === "tune").length);
    expect(await answer({})).toEqual(expected);
  });

  it.skipIf(gpuMissing)("that cannot be kept is told, and no failure", async () => {
    await writeFile(join(folder, "cache"), "a file where the folder should be");
    const warnings: string[] = [];
    const onWarning = (message: string) => warnings.push(message);
    const model = await Florence2.fromPretrained(tiny, { device: "gpu", tune: true, onWarning });
    model.dispose();
    expect(warnings.join()).toMatch(/^What was tuned can't be kept: .*cache/);
  });
});
