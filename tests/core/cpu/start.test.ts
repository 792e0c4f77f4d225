/** How the CPU engine starts where a runtime, a page or a system does not let it have all that it wants. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Arena } from "../../../core/cpu/arena.ts";
import { CpuRunner } from "../../../core/cpu/cpu_runner.ts";
import { Recording } from "../../../core/recording.ts";
import { matmul } from "../../../kernels/matmul/matmul.ts";
import { florenceError } from "../../support/errors.ts";

const starting = { count: 0, refused: Number.POSITIVE_INFINITY };
vi.mock("../../../core/cpu/start_thread.ts", async (original) => {
  const { startThread } = await original<typeof import("../../../core/cpu/start_thread.ts")>();
  return {
    startThread(...args: Parameters<typeof startThread>) {
      if (starting.count++ >= starting.refused)
        throw new Error("Use --allow-worker to manage permissions.\n    at somewhere");
      return startThread(...args);
    },
  };
});

const { Memory } = WebAssembly;
beforeEach(() => {
  Object.assign(starting, { count: 0, refused: Number.POSITIVE_INFINITY });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

/** A system that lets a memory grow to so many pages at most. */
function letGrowTo(pages: number): void {
  class LimitedMemory extends Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      if (descriptor.maximum! > pages) throw new RangeError("out of memory");
      super(descriptor);
    }
  }
  vi.stubGlobal("WebAssembly", Object.create(WebAssembly, { Memory: { value: LimitedMemory } }));
}

async function product(runner: CpuRunner): Promise<number[]> {
  const rec = new Recording({ profile: runner.profile });
  const x = runner.upload("x", [1, 4], Float32Array.of(1, 2, 3, 4));
  const weight = runner.upload("weight", [2, 4], Float32Array.of(1, 1, 1, 1, 1, 10, 100, 1000));
  const out = rec.keep(matmul(rec, x, weight));
  await (await runner.prepare(rec)).run();
  return [...(await runner.read(out))];
}

describe("threads that cannot be started", () => {
  it.each([
    ["none", 0],
    ["not all", 2],
  ])("%s: one computes, and the engine says so with the reason", async (_, from) => {
    starting.refused = from;
    const warnings: string[] = [];
    const runner = await CpuRunner.open({ threads: 3, onWarning: (message) => warnings.push(message) });
    expect(runner.name).toMatch(/, 1 thread$/);
    expect(warnings).toEqual([
      expect.stringMatching(/one thread.*: Use --allow-worker to manage permissions\.$/),
    ]);
    expect(await product(runner)).toEqual([10, 4321]);
    runner.dispose();
  });
});

describe("memory", () => {
  it("that may grow to less than 4 GiB serves, and is named once it is full", async () => {
    letGrowTo(20_000);
    const runner = await CpuRunner.open({ threads: 2 });
    expect(await product(runner)).toEqual([10, 4321]);
    expect(() => runner.zeros("a tensor", [2 ** 28])).toThrow(
      florenceError("cpu_out_of_memory", "No memory for 1010 MiB", "a tensor", "1024 at most", "dtype"),
    );
    expect(await product(runner)).toEqual([10, 4321]);
    runner.dispose();
  });

  it("that is not to be had is an error with the remedies", async () => {
    letGrowTo(0);
    await expect(CpuRunner.open()).rejects.toEqual(
      florenceError("cpu_out_of_memory", "ulimit -v", "--disable-wasm-trap-handler"),
    );
  });

  it("that a runtime without WebAssembly has not is an error that says so", () => {
    vi.stubGlobal("WebAssembly", undefined);
    expect(() => new Arena(true)).toThrow(florenceError("cpu_failed", "no WebAssembly", "--jitless"));
  });

  it("of another kind than the kernels take is a typed error", async () => {
    const failure = new WebAssembly.LinkError("mismatch in shared state of memory");
    vi.spyOn(WebAssembly, "instantiate").mockRejectedValue(failure);
    await expect(CpuRunner.open()).rejects.toEqual(florenceError("cpu_failed", "started", "mismatch"));
  });
});
