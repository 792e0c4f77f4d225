import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CpuRunner } from "../../core/cpu/cpu_runner.ts";
import type { Florence2Error } from "../../core/errors.ts";
import { Recording } from "../../core/recording.ts";
import type { Runner } from "../../core/runner.ts";
import { rows } from "../../core/tensor.ts";
import { countDown, double, doubleKernel } from "../support/double_kernel.ts";
import { gpuMissing, openTestGpu } from "../support/gpu.ts";

const code = (expected: Florence2Error["code"]) =>
  expect.objectContaining({ name: "Florence2Error", code: expected });

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
