import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CpuRunner } from "../../core/cpu/cpu_runner.ts";
import { openRunner } from "../../core/device.ts";
import { Florence2Error } from "../../core/errors.ts";
import type { GpuRunner } from "../../core/gpu/gpu_runner.ts";
import { linearGroups } from "../../core/kernel.ts";
import { planMemory } from "../../core/plan.ts";
import { Recording } from "../../core/recording.ts";
import type { Runner } from "../../core/runner.ts";
import { newTensor, rows, type Tensor } from "../../core/tensor.ts";
import { countDown, double, doubleKernel } from "../support/double_kernel.ts";
import { gpuMissing, openTestGpu } from "../support/gpu.ts";

const input = (...shape: number[]) => newTensor("input", shape, "f32", "owned");
const code = (expected: Florence2Error["code"]) =>
  expect.objectContaining({ name: "Florence2Error", code: expected });

describe("a recording", () => {
  const kernel = doubleKernel();

  it("refuses a tensor of the wrong type, naming kernel, stage and binding", () => {
    const rec = new Recording();
    const ids = newTensor("ids", [4], "u32", "owned");
    expect(() => rec.scope("stage1", () => double(rec, kernel, ids))).toThrow(
      /double in stage1: x is u32, expected f32/,
    );
  });

  it("refuses to read and write the same elements", () => {
    const rec = new Recording();
    const x = input(8);
    expect(() => rec.dispatch(kernel, { x, out: x }, { count: 8 }, {})).toThrow(
      /out is written and bound a second time/,
    );
  });

  it("refuses views that no device can bind, and bindings past the limit", () => {
    const rec = new Recording({ profile: { features: new Set(), maxBindingBytes: 1024 } });
    expect(() => double(rec, kernel, rows(input(8, 10), 1, 2))).toThrow(/begins at element 10/);
    expect(() => double(rec, kernel, input(257))).toThrow(/1028 bytes, this device binds 1024/);
  });

  it("refuses parameters that are no numbers", () => {
    const rec = new Recording();
    expect(() =>
      rec.dispatch(kernel, { x: input(8), out: rec.temp([8]) }, { count: Number.NaN }, {}),
    ).toThrow(/count is NaN/);
  });

  it("cuts a tensor into bands that can be bound and cover it once", () => {
    const rec = new Recording({ profile: { features: new Set(), maxBindingBytes: 4096 } });
    const bands = rec.bands(input(1000, 24), 24 * 4, 3);
    expect(bands[0]!.from).toBe(0);
    expect(bands.at(-1)!.to).toBe(1000);
    for (const [i, band] of bands.entries()) {
      expect(band.tensor.shape).toEqual([band.to - band.from, 24]);
      expect((band.tensor.offset * 4) % 256).toBe(0);
      expect(band.from % 3).toBe(0);
      if (i > 0) expect(band.from).toBe(bands[i - 1]!.to);
    }
    expect(bands.length).toBe(Math.ceil(1000 / 24));
  });

  it("does nothing for a tap that nobody asked for", () => {
    const rec = new Recording();
    rec.tap("stage", double(rec, kernel, input(4)));
    expect(rec.taps.size).toBe(0);
    expect(rec.kept.size).toBe(0);
  });
});

describe("the memory plan", () => {
  const kernel = doubleKernel();

  it("alternates between two blocks along a chain", () => {
    const rec = new Recording();
    let x = input(100);
    for (let i = 0; i < 10; i++) x = double(rec, kernel, x);
    expect(planMemory(rec).blocks).toEqual([100, 100]);
  });

  it("takes no more than what is alive at once, whatever comes first", () => {
    const rec = new Recording();
    const grown = (x: Tensor, size: number) => {
      const out = rec.temp([size]);
      rec.dispatch(kernel, { x, out }, { count: size }, {});
      return out;
    };
    let x = input(10);
    for (const size of [10, 30, 10, 40, 10, 20, 10]) x = grown(x, size);
    expect(planMemory(rec).blocks).toEqual([40, 10]);
  });

  it("never gives what is alive, kept or in the same dispatch the same block", () => {
    const rec = new Recording();
    const a = double(rec, kernel, input(100));
    const b = rec.keep(double(rec, kernel, a));
    const c = double(rec, kernel, a);
    const d = double(rec, kernel, c);
    const { blockOf } = planMemory(rec);
    const block = (tensor: Tensor) => blockOf.get(tensor.storage);
    expect(block(a)).not.toBe(block(b));
    expect(block(a)).not.toBe(block(c));
    expect(block(b)).not.toBe(block(c));
    expect(block(b)).not.toBe(block(d));
    expect(block(a)).toBe(block(d));
  });
});

it("folds long grids into two dimensions that cover them", () => {
  for (const count of [0, 1, 65_535, 65_536, 1_000_003]) {
    const [x, y, z] = linearGroups(count);
    expect(x * y * z).toBeGreaterThanOrEqual(count);
    expect(Math.max(x, y)).toBeLessThanOrEqual(65_535);
    expect(x * y * z - count).toBeLessThanOrEqual(y);
  }
});

const runners: [string, string | undefined, () => Promise<Runner>][] = [
  ["CPU", undefined, async () => new CpuRunner()],
  ["GPU", gpuMissing, () => openTestGpu()],
];

for (const [name, missing, open] of runners) {
  describe.skipIf(missing)(`the ${name} runner`, () => {
    let runner: Runner;
    beforeAll(async () => {
      runner = await open();
    });
    afterAll(() => runner.dispose());

    it("keeps taps that were asked for, and runs a program again with new input", async () => {
      const x = runner.upload("x", [3], Float32Array.of(1, 2, 3));
      const rec = new Recording({ profile: runner.profile, taps: (tap) => tap === "first" });
      const kernel = doubleKernel();
      const first = rec.tap("first", double(rec, kernel, x));
      const last = rec.keep(
        double(rec, kernel, double(rec, kernel, rec.tap("other", double(rec, kernel, first)))),
      );
      const program = await runner.prepare(rec);
      await program.run();
      expect([...rec.taps.keys()]).toEqual(["first"]);
      expect(await runner.read(first)).toEqual(Float32Array.of(2, 4, 6));
      runner.write(x, Float32Array.of(-1, 0, 1));
      await program.run();
      expect(await runner.read(last)).toEqual(Float32Array.of(-16, 0, 16));
      program.dispose();
      runner.free(x);
    });

    it("runs a program several times in one go, and does nothing once its counter is 0", async () => {
      const counter = runner.upload("counter", [1], Uint32Array.of(3));
      const x = runner.upload("x", [2], Float32Array.of(1, -1));
      const rec = new Recording({ profile: runner.profile });
      rec.runWhile(counter);
      double(rec, doubleKernel(), double(rec, doubleKernel(), x), x);
      countDown(rec, counter);
      const program = await runner.prepare(rec);
      await program.run(undefined, 2);
      expect(await runner.read(x)).toEqual(Float32Array.of(16, -16));
      await program.run(undefined, 3);
      expect(await runner.read(x)).toEqual(Float32Array.of(64, -64));
      expect(await runner.read(counter)).toEqual(Uint32Array.of(0));
      program.dispose();
      for (const tensor of [counter, x]) runner.free(tensor);
    });

    it("copies between tensors and their rows", async () => {
      const whole = runner.zeros("whole", [3, 2], "u32");
      const part = runner.upload("part", [1, 2], Uint32Array.of(7, 8));
      runner.copy(part, rows(whole, 1, 2));
      expect(await runner.read(whole)).toEqual(Uint32Array.of(0, 0, 7, 8, 0, 0));
      runner.free(whole);
      runner.free(part);
    });

    it("gives all memory back", async () => {
      const before = runner.memory.bytes;
      const x = runner.upload("x", [64], new Float32Array(64));
      const rec = new Recording({ profile: runner.profile });
      double(rec, doubleKernel(), double(rec, doubleKernel(), x));
      const program = await runner.prepare(rec);
      expect(runner.memory.bytes).toBeGreaterThanOrEqual(before + 3 * 256);
      program.dispose();
      runner.free(x);
      expect(runner.memory.bytes).toBe(before);
    });

    it("reports the use of freed tensors", async () => {
      const x = runner.upload("gone", [4], new Float32Array(4));
      runner.free(x);
      await expect((async () => runner.read(x))()).rejects.toEqual(code("disposed"));
    });

    it("stops before its next run when aborted", async () => {
      const x = runner.upload("x", [4], new Float32Array(4));
      const rec = new Recording({ profile: runner.profile });
      double(rec, doubleKernel(), x);
      const program = await runner.prepare(rec);
      await expect(program.run(AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
      await program.run();
      program.dispose();
    });
  });
}

describe.skipIf(gpuMissing)("GPU faults", () => {
  let gpu: GpuRunner;
  beforeAll(async () => {
    gpu = await openTestGpu();
  });
  afterAll(() => gpu.dispose());

  it("in a shader become an error with kernel, variant, line and source", async () => {
    const rec = new Recording({ profile: gpu.profile });
    double(rec, doubleKernel({ statement: "out[i] = nonsense;" }), gpu.upload("x", [4], new Float32Array(4)));
    const error = await gpu.prepare(rec).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    expect(error).toEqual(code("gpu_invalid"));
    expect((error as Error).message).toMatch(
      /double\/only.*does not compile:\ndouble\.wgsl:\d+:\d+ .*nonsense/s,
    );
  });

  it("of memory are an error of the next call, and the one after works", async () => {
    gpu.zeros("far too much", [2 ** 40]);
    await expect(gpu.settle()).rejects.toThrow(/far too much/);
    const fine = gpu.upload("fine", [1], Float32Array.of(5));
    expect(await gpu.read(fine)).toEqual(Float32Array.of(5));
  });

  it("a device lost stays lost, for every call", async () => {
    const doomed = await openTestGpu();
    const x = doomed.upload("x", [1], Float32Array.of(1));
    doomed.device.destroy();
    await doomed.device.lost;
    await expect((async () => doomed.read(x))()).rejects.toEqual(code("gpu_lost"));
    expect(() => doomed.zeros("y", [1])).toThrow(Florence2Error);
    doomed.dispose();
  });

  it("a caller's device is used and left alive", async () => {
    const runner = await openRunner(gpu.device);
    const x = runner.upload("x", [2], Float32Array.of(1, 2));
    expect(await runner.read(x)).toEqual(Float32Array.of(1, 2));
    runner.dispose();
    runner.dispose();
    await expect((async () => runner.read(x))()).rejects.toEqual(code("disposed"));
    const still = gpu.upload("still", [1], Float32Array.of(3));
    expect(await gpu.read(still)).toEqual(Float32Array.of(3));
  });
});

describe("opening a device", () => {
  it("refuses an unknown choice", async () => {
    await expect(openRunner("tpu" as "gpu")).rejects.toEqual(code("option_invalid"));
  });

  it("gives the CPU when asked", async () => {
    expect((await openRunner("cpu")).kind).toBe("cpu");
  });
});
