/** The CPU engine as a runner: threads, memory, aborts and faults. What its kernels compute: tests/kernels. */
import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Arena } from "../../../core/cpu/arena.ts";
import { compile, compileKernels } from "../../../core/cpu/compiled_kernels.ts";
import { CpuRunner } from "../../../core/cpu/cpu_runner.ts";
import { Engine } from "../../../core/cpu/engine.ts";
import { placeOfI8 } from "../../../core/cpu/product_speeds.ts";
import { widenFloat16 } from "../../../core/dtypes/float16.ts";
import { packWeights } from "../../../core/dtypes/stored_weights.ts";
import type { Florence2Error } from "../../../core/errors.ts";
import { Recording } from "../../../core/recording.ts";
import type { Tensor, TensorData } from "../../../core/tensor.ts";
import { matmul } from "../../../kernels/matmul/matmul.ts";
import { countInputs, inputsOf, runCase, weightFormats } from "../../../measure/case_runs.ts";
import { randomArrays } from "../../../measure/generated/random.ts";
import { allKernelCases } from "../../support/kernel_check.ts";

const code = (expected: Florence2Error["code"]) =>
  expect.objectContaining({ name: "Florence2Error", code: expected });

const runners: CpuRunner[] = [];
async function open(threads: number): Promise<CpuRunner> {
  const runner = await CpuRunner.open({ threads, asksForI8: true });
  runners.push(runner);
  return runner;
}
/** On the caller's own thread, as in a page that is not isolated. */
async function openAlone(): Promise<CpuRunner> {
  const arena = new Arena(false);
  const engine = await Engine.open(arena, false);
  const runner = new CpuRunner(arena, engine, {}, placeOfI8(await engine!.productSpeeds()));
  runners.push(runner);
  return runner;
}
afterEach(() => {
  for (const runner of runners.splice(0)) runner.dispose();
  vi.restoreAllMocks();
});

/**
 * `times` products of (192, K) and (K, K), of at least a millisecond each. A hundred last so long that what the test
 * does in the next turns of the event loop comes before their end, on a busy machine as well.
 */
async function products(runner: CpuRunner, times: number) {
  const [M, K] = [192, 768];
  const random = randomArrays(1);
  const x = runner.upload("x", [M, K], random.normal(M, K).data);
  const weight = runner.upload("weight", [K, K], random.normal(K, K).data);
  const rec = new Recording({ profile: runner.profile });
  let out: Tensor = x;
  for (let i = 0; i < times; i++) out = rec.keep(matmul(rec, x, weight));
  return { program: await runner.prepare(rec), out };
}

describe("threads", () => {
  it("end with a runner that nobody holds any more and nobody disposed of", async () => {
    const terminate = vi.spyOn(Worker.prototype, "terminate");
    const useAndForget = async () => {
      const { program } = await products(await CpuRunner.open({ threads: 2 }), 2);
      await program.run();
    };
    await useAndForget();
    expect(terminate).not.toHaveBeenCalled();
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc");
    const hasEnded = () => {
      collect();
      return terminate.mock.calls.length === 2;
    };
    await vi.waitUntil(hasEnded, { timeout: 120_000, interval: 10 });
  });

  it("change no bit of any kernel's results", async () => {
    const alone = await openAlone();
    const others = [await open(1), await open(3)];
    for (const suite of allKernelCases) {
      for (const testCase of suite.cases.filter((one) => countInputs(suite, one) < 1e6)) {
        const formats = weightFormats(suite, testCase, alone.profile).filter((format) => format === "i8");
        for (const format of [undefined, ...formats]) {
          const inputs = inputsOf(suite, testCase, format);
          const expected = await runCase(alone, suite, testCase, inputs);
          for (const runner of others) {
            const found = await runCase(runner, suite, testCase, inputs);
            for (const [name, { data }] of expected)
              expect(
                firstDifference(found.get(name)!.data, data),
                `${suite.kernel.name}: ${testCase.name}, ${format}`,
              ).toBe(-1);
          }
        }
      }
    }
  });

  it("leave the event loop free, and do so where there is only this one", async () => {
    for (const runner of [await open(2), await openAlone()]) {
      const { program } = await products(runner, 100);
      let isRunning = true;
      const running = program.run().then(() => {
        isRunning = false;
      });
      let turns = 0;
      for (; isRunning; turns++) await turn();
      await running;
      expect(turns).toBeGreaterThan(3);
    }
  });

  it("end when the runner is disposed", async () => {
    const post = vi.spyOn(Worker.prototype, "postMessage");
    const runner = await open(3);
    const workers = new Set(post.mock.contexts as Worker[]);
    expect([...workers].map(({ threadId }) => threadId > 0)).toEqual([true, true, true]);
    runner.dispose();
    await vi.waitUntil(() => [...workers].every(({ threadId }) => threadId === -1), 120_000);
  });

  it("are as many as asked for, and 16 at most", async () => {
    expect((await open(3)).name).toMatch(/3 threads$/);
    expect((await open(1)).name).toMatch(/1 thread$/);
    expect((await open(99)).engine!.threads).toBe(16);
  });
});

describe("a run", () => {
  it("ends between two calls when it is aborted, and the next one works", async () => {
    for (const runner of [await open(2), await openAlone()]) {
      const { program, out } = await products(runner, 100);
      const expected = await products(runner, 1);
      await expected.program.run();
      const abort = new AbortController();
      const running = program.run(abort.signal);
      await turn();
      abort.abort(new Error("enough"));
      await expect(running).rejects.toThrow("enough");
      await expect(program.run(AbortSignal.abort(new Error("before")))).rejects.toThrow("before");
      expect(await runner.read(out)).not.toEqual(await runner.read(expected.out));
      await program.run();
      expect(await runner.read(out)).toEqual(await runner.read(expected.out));
    }
  });

  it.each([0, 1])("fails when thread %i dies, and so do later ones; the next runner works", async (index) => {
    const runner = await open(2);
    const { program } = await products(runner, 300);
    const post = vi.spyOn(Worker.prototype, "postMessage");
    const running = program.run();
    await turn();
    (post.mock.contexts[index] as Worker).terminate();
    await expect(running).rejects.toEqual(code("cpu_failed"));
    await expect(program.run()).rejects.toEqual(code("cpu_failed"));
    const { program: next } = await products(await open(2), 1);
    await next.run();
  });

  it("fails when a kernel does, on one thread or on all, and the next one works", async () => {
    for (const threads of [1, 3]) {
      const arena = new Arena(true);
      const engine = (await Engine.open(arena, true, threads))!;
      const pointers = [0, 1].map(() => arena.allocate(64 * 2 ** 16, "what is copied").at);
      const copy = (to: number) =>
        engine.executor.keep([
          { name: "limit_copy", args: [pointers[0]!, to, 2 ** 16], units: 64, counter: 0 },
        ]);
      const good = copy(pointers[1]!);
      for (const outside of [2 ** 32 - 2 ** 16, arena.memory.buffer.byteLength - 48 * 2 ** 16]) {
        await expect(copy(outside).run(3, 0)).rejects.toEqual(code("cpu_failed"));
        await good.run(3, 0);
      }
      engine.dispose();
    }
  });

  it("fails when the runner is disposed meanwhile", async () => {
    const runner = await open(2);
    const { program } = await products(runner, 300);
    const running = program.run();
    await turn();
    runner.dispose();
    await expect(running).rejects.toEqual(code("disposed"));
    expect(runner.memory.bytes).toBe(0);
    expect(() => runner.zeros("x", [1])).toThrow(code("disposed"));
  });
});

describe("memory", () => {
  it("is used again, cleared", async () => {
    const runner = await open(1);
    const before = runner.memory.bytes;
    const first = runner.upload("first", [1000], new Float32Array(1000).fill(1));
    const second = runner.upload("second", [3000], new Float32Array(3000).fill(2));
    expect(runner.memory.bytes).toBeGreaterThanOrEqual(before + 16_000);
    runner.free(first);
    runner.free(second);
    expect(runner.memory.bytes).toBe(before);
    expect(await runner.read(runner.zeros("third", [4000]))).toEqual(new Float32Array(4000));
  });

  it("that cannot grow is an error with the number, and smaller tensors still fit", async () => {
    const runner = await open(1);
    expect(() => runner.zeros("huge", [2 ** 30, 2])).toThrow(code("cpu_out_of_memory"));
    expect(() => runner.zeros("huge", [2 ** 30, 2])).toThrow(/huge.*4096/);
    expect(runner.zeros("small", [8]).shape).toEqual([8]);
  });

  it("gives weights back as they were written, in panels or not", async () => {
    const runner = await open(2);
    for (const dtype of ["f32", "f16", "q8", "q4", "i8"] as const) {
      if (dtype === "i8" && !runner.profile.i8) continue;
      const values = randomArrays(2).normal(19, 64).data as Float32Array<ArrayBuffer>;
      const stored = packWeights(values, dtype, "weight");
      const weight = runner.zeros("weight", [19, 64], dtype);
      runner.write(weight, stored);
      const rec = new Recording({ profile: runner.profile });
      const x = runner.upload("x", [2, 64], randomArrays(3).normal(2, 64).data);
      const out = rec.keep(matmul(rec, x, weight));
      const program = await runner.prepare(rec);
      await program.run();
      const first = await runner.read(out);
      expect(firstDifference(await runner.read(weight), stored), dtype).toBe(-1);
      runner.write(weight, stored);
      const again = await runner.prepare(rec);
      await again.run();
      expect(await runner.read(out)).toEqual(first);
    }
  });
});

describe("halves", () => {
  const [N, K] = [704, 64];
  const below128 = Uint16Array.from({ length: N * K }, (_, i) => (i >> 1) | ((i & 1) << 15));
  const ofAnySize = below128.map((half, i) => (i % 3 === 0 ? 0x7bff - (i % 1024) : half));

  it.each([
    ["below 128", below128],
    ["of any size", ofAnySize],
  ])("%s, subnormal ones too, are multiplied exactly and given back", async (_, halves) => {
    const runner = await open(2);
    const weight = runner.zeros("weight", [N, K], "f16");
    runner.write(weight, new Uint32Array(halves.buffer));
    const widened = new Float32Array(halves.length);
    widenFloat16(halves, widened);
    for (const M of [1, 3, 8]) {
      // Of each row one value is 1: it picks a column of the weights.
      const columns = Array.from({ length: M }, (_, m) => (m * 29) % K);
      const x = new Float32Array(M * K);
      for (const [m, column] of columns.entries()) x[m * K + column] = 1;
      const rec = new Recording({ profile: runner.profile });
      const out = rec.keep(matmul(rec, runner.upload("x", [M, K], x), weight));
      await (await runner.prepare(rec)).run();
      const expected = columns.flatMap((k) => Array.from({ length: N }, (_, n) => widened[n * K + k]! + 0));
      expect(firstDifference(await runner.read(out), Float32Array.from(expected))).toBe(-1);
    }
    expect(firstDifference(await runner.read(weight), new Uint32Array(halves.buffer))).toBe(-1);
  });
});

describe("the module", () => {
  it("has a form with relaxed SIMD and one without, for memory that is shared or not", async () => {
    expect((await compileKernels(true))!.form).toBe("relaxed SIMD");
    expect((await compileKernels(false))!.form).toBe("relaxed SIMD");
    const validate = WebAssembly.validate;
    let asked = 0;
    vi.spyOn(WebAssembly, "validate").mockImplementation((bytes) => asked++ > 1 && validate(bytes));
    expect((await compileKernels(true))!.form).toBe("SIMD");
    vi.spyOn(WebAssembly, "validate").mockReturnValue(false);
    expect(await compileKernels(true)).toBeUndefined();
    const twins = await CpuRunner.open();
    expect(twins.engine).toBeUndefined();
    expect(twins.name).toMatch(/twins/);
  });

  it("that does not compile is a typed error", async () => {
    await expect(compile(Uint8Array.of(0, 97, 115, 109))).rejects.toEqual(code("cpu_failed"));
  });
});

const bitsOf = ({ buffer, byteOffset, length }: TensorData) => new Uint32Array(buffer, byteOffset, length);

/** The first element that differs in a bit; -1 if none does. `toEqual` takes seconds for a million elements. */
function firstDifference(found: TensorData, expected: TensorData): number {
  expect(found.length).toBe(expected.length);
  const [a, b] = [bitsOf(found), bitsOf(expected)];
  return a.findIndex((word, i) => word !== b[i]);
}
