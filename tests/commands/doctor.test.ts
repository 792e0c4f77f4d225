import { cp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CheckedRunner } from "../../commands/doctor/checked_runner.ts";
import { doctor, inWords } from "../../commands/doctor/doctor.ts";
import { type Examination, examine, examineModel, type Finding } from "../../commands/doctor/examine.ts";
import { CpuRunner } from "../../core/cpu/cpu_runner.ts";
import type { Kernel, Numbers } from "../../core/kernel.ts";
import { Recording } from "../../core/recording.ts";
import type { Runner } from "../../core/runner.ts";
import type { TensorData } from "../../core/tensor.ts";
import { countDown, double, doubleKernel } from "../support/double_kernel.ts";
import { gpuMissing, openTestGpu } from "../support/gpu.ts";
import { newFolder } from "../support/hub_cache.ts";
import { filesIn, REPOSITORY, startHub } from "../support/hub_server.ts";

const tiny = fileURLToPath(new URL("../fixtures/flavours/transformers", import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await newFolder();
  vi.stubEnv("HF_HUB_CACHE", folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
  await rm(folder, { recursive: true });
});

/** A copy of the tiny model, to be damaged. */
async function copyOfTiny(): Promise<string> {
  const copy = join(folder, "model");
  await cp(tiny, copy, { recursive: true });
  return copy;
}

const finding = (kind: Finding["kind"]) => (what: RegExp, remedy: RegExp) =>
  expect.objectContaining<Finding>({
    kind,
    what: expect.stringMatching(what),
    remedy: expect.stringMatching(remedy),
  });
const problem = finding("problem");
const remark = finding("remark");

/** Poses as a GPU; `kernel` computes one element wrong there. */
function wrongGpu(kernel?: string): Runner {
  const runner = new CpuRunner();
  const prepare = runner.prepare.bind(runner);
  return Object.defineProperties(runner, {
    kind: { value: "gpu" },
    prepare: {
      value: (recording: Recording) => {
        for (const [i, dispatch] of recording.dispatches.entries()) {
          if (dispatch.kernel.name !== kernel) continue;
          recording.dispatches[i] = { ...dispatch, kernel: spoilt(dispatch.kernel) };
        }
        return prepare(recording);
      },
    },
  });
}

function spoilt(kernel: Kernel): Kernel {
  const output = Object.keys(kernel.bindings).findLast((name) => kernel.bindings[name]!.access !== "read")!;
  const twin = (arrays: Readonly<Record<string, never>>, params: Numbers, constants: Numbers) => {
    kernel.twin(arrays, params, constants);
    const data = arrays[output] as TensorData | undefined as TensorData;
    data[data.length - 1] = data[data.length - 1]! + 1;
  };
  return { ...kernel, twin };
}

describe("a model's numbers", () => {
  it("are in order where the device computes as the twins do", async () => {
    const { model, findings } = await examineModel(tiny, wrongGpu());
    expect(findings).toEqual([]);
    expect(model).toMatchObject({ layout: "transformers", storedAs: "F32", heldAs: "f32" });
    expect(model!.kernels.length).toBeGreaterThan(15);
    for (const { name, calls, compared, worst } of model!.kernels) {
      expect(compared, name).toBeGreaterThan(0);
      expect(compared, name).toBeLessThanOrEqual(calls);
      expect(worst, name).toBe(0);
    }
  });

  it.each([
    ["conv2d", /^The kernel conv2d\/\w+ .* first in vision\.stage0: element \d+ of out /],
    ["window_attention", /^The kernel window_attention\/\w+ .* first in vision\.stage0: /],
    ["encoder_attention", /^The kernel encoder_attention\/\w+ .* first in encoder\S*: /],
    ["cached_attention", /^The kernel cached_attention\/\w+ .* first in decoder\S*: /],
    ["search_step", /^The kernel search_step\/\w+ .* first in a call outside the layers: /],
  ])("are wrong by %s alone", async (kernel, what) => {
    const { findings } = await examineModel(tiny, wrongGpu(kernel));
    expect(findings).toEqual([problem(what, /driver.*"cpu"/)]);
  });

  it("are not computed from weights that are NaN, which are named", async () => {
    const copy = await copyOfTiny();
    const bytes = await readFile(join(copy, "model.safetensors"));
    bytes.writeUInt32LE(0x7fc00000, bytes.length - 4);
    await writeFile(join(copy, "model.safetensors"), bytes);
    const { findings } = await examineModel(copy, new CpuRunner());
    expect(findings).toEqual([problem(/^The weights \S+ have values that are NaN/, /download them again/)]);
  });
});

describe("a checked runner", () => {
  /** out = 4x through a temporary, while the counter is not 0; the counter goes down by one each time. */
  async function run(runner: Runner, kernel = doubleKernel()) {
    const x = runner.upload(
      "x",
      [2, 64],
      Float32Array.from({ length: 128 }, (_, i) => i - 60),
    );
    const counter = runner.upload("counter", [1], Uint32Array.of(2));
    const sum = runner.zeros("sum", [2, 64]);
    const rec = new Recording({ profile: runner.profile });
    rec.runWhile(counter);
    const out = rec.keep(double(rec, kernel, double(rec, kernel, x)));
    double(rec, kernel, out, sum);
    countDown(rec, counter);
    const program = await runner.prepare(rec);
    await program.run(undefined, 3);
    const results = [await runner.read(out), await runner.read(sum), await runner.read(counter)];
    program.dispose();
    for (const tensor of [x, counter, sum]) runner.free(tensor);
    return results;
  }

  it("computes what the runner within computes, and gives all memory back", async () => {
    const checked = new CheckedRunner(new CpuRunner());
    expect(await run(checked)).toEqual(await run(new CpuRunner()));
    expect(checked.memory.bytes).toBe(0);
    expect(checked.kernels).toEqual([
      { name: "double", calls: 3, compared: 1, worst: 0 },
      { name: "count_down", calls: 1, compared: 1, worst: 0 },
    ]);
  });

  it.skipIf(gpuMissing)("finds a wrong shader", async () => {
    const gpu = await openTestGpu();
    try {
      const right = new CheckedRunner(gpu);
      await run(right);
      expect(right.kernels.map(({ fault }) => fault)).toEqual([undefined, undefined]);
      const statement = "out[i] = select(2.0, 2.01, i == 99u) * x[i];";
      const wrong = new CheckedRunner(gpu);
      await run(wrong, doubleKernel({ statement }));
      expect(wrong.kernels[0]!.fault).toMatch(/element 99 of out \[2,64\] is 78\.3\d* instead of 78$/);
      expect(wrong.kernels[1]!.fault).toBeUndefined();
    } finally {
      gpu.dispose();
    }
  });
});

describe("files", () => {
  const findings = async (source: string) => (await examineModel(source, new CpuRunner())).findings;

  it("that are cut off are to be downloaded again", async () => {
    const copy = await copyOfTiny();
    await truncate(join(copy, "model.safetensors"), 50_000);
    expect(await findings(copy)).toEqual([problem(/model\.safetensors/, /download it again/)]);
  });

  it("that are missing are named", async () => {
    const copy = await copyOfTiny();
    await rm(join(copy, "tokenizer.json"));
    expect(await findings(copy)).toEqual([
      problem(/tokenizer|vocab\.json/, /tokenizer\.json \(or vocab\.json/),
    ]);
  });

  it("that do not fit each other are to come from one place", async () => {
    const copy = await copyOfTiny();
    const config = JSON.parse(await readFile(join(copy, "config.json"), "utf8"));
    config.text_config.encoder_layers++;
    await writeFile(join(copy, "config.json"), JSON.stringify(config));
    expect(await findings(copy)).toEqual([problem(/missing/, /from one repository/)]);
  });

  it("that were damaged in the cache are found by their checksums", async () => {
    vi.stubGlobal("navigator", NO_ADAPTER);
    const files = await filesIn(tiny);
    const hub = await startHub(files);
    try {
      vi.stubEnv("HF_ENDPOINT", hub.url);
      const first = await examine(REPOSITORY);
      expect(first.model?.source).toBe(REPOSITORY);
      vi.stubEnv("HF_HUB_OFFLINE", "1");
      const blobs = join(folder, "models--florence--tiny", "blobs");
      const weights = (await readdir(blobs)).find((name) => name.length === 64)!;
      const bytes = await readFile(join(blobs, weights));
      bytes[bytes.length - 1]! ^= 1;
      await writeFile(join(blobs, weights), bytes);
      const { cache, findings } = await examine(REPOSITORY);
      expect(cache).toMatchObject({ folder, isOffline: true });
      const size = Object.values(files).reduce((sum, { length }) => sum + length, 0);
      expect(cache.repositories).toEqual([
        { id: REPOSITORY, bytes: size, revisions: ["main"], unfinished: 0 },
      ]);
      expect(findings.slice(1)).toEqual([problem(new RegExp(`${weights} is not what was`), /Delete it/)]);
    } finally {
      await hub.close();
    }
  });
});

const NO_ADAPTER = { gpu: { requestAdapter: async () => null } };

describe("a device", () => {
  it("that is not there is a remark: the CPU engine computes, and is checked", async () => {
    vi.stubGlobal("navigator", NO_ADAPTER);
    const { device, model, findings } = await examine(tiny);
    expect(device.name).toMatch(/^CPU: WebAssembly with (relaxed )?SIMD, \d+ threads?$/);
    expect(device.products!.gigaflopsPerSecond).toBeGreaterThan(0);
    expect(model?.peakBytes).toBeGreaterThan(0);
    expect(model?.kernels.map(({ name }) => name)).toContain("matmul");
    for (const { name, compared, fault } of model!.kernels) {
      expect(compared, name).toBeGreaterThan(0);
      expect(fault, name).toBeUndefined();
    }
    expect(findings).toEqual([remark(/no adapter/, /install a driver/)]);
  });

  it("with one thread, since others cannot start, is a remark with its remedy", async () => {
    vi.stubGlobal("navigator", NO_ADAPTER);
    const start = vi.spyOn(await import("../../core/cpu/start_thread.ts"), "startThread");
    start.mockRejectedValueOnce(new Error("Access to this API has been restricted."));
    const { device, model, findings } = await examine(tiny);
    start.mockRestore();
    expect(device.name).toMatch(/, 1 thread$/);
    expect(model?.kernels.map(({ name }) => name)).toContain("matmul");
    expect(findings).toEqual([
      remark(/one thread.*restricted/, /--allow-worker/),
      remark(/no adapter/, /install a driver/),
    ]);
  });

  it("that is not to be had at all is a problem, and all else is told", async () => {
    vi.stubGlobal("navigator", NO_ADAPTER);
    vi.stubGlobal("WebAssembly", undefined);
    const examination = await examine(tiny);
    expect(examination.findings).toEqual([problem(/no WebAssembly/, /report this/)]);
    const words = inWords(examination);
    expect(words).toMatch(/^device {4}none\ncache /m);
    expect(words).toMatch(/^Problem: This runtime has no WebAssembly/m);
  });

  it("that lacks a limit is a remark", async () => {
    const limits = { maxStorageBuffersPerShaderStage: 4 };
    vi.stubGlobal("navigator", { gpu: { requestAdapter: async () => ({ limits, info: {} }) } });
    const { findings } = await examine(tiny);
    expect(findings).toEqual([remark(/maxStorageBuffersPerShaderStage is 4, at least 8/, /driver/)]);
  });

  it("needs the package webgpu in Node", async () => {
    vi.resetModules();
    vi.doMock("webgpu", () => {
      throw new Error("not installed");
    });
    try {
      const { examine } = await import("../../commands/doctor/examine.ts");
      const { findings } = await examine(tiny);
      expect(findings).toEqual([remark(/The package webgpu/, /npm install webgpu/)]);
    } finally {
      vi.doUnmock("webgpu");
    }
  });
});

describe("florence2 doctor", () => {
  it("names the speed of products in 8 bits, and whether q8 uses them", async () => {
    vi.stubGlobal("navigator", NO_ADAPTER);
    const examination = await examine(join(folder, "nothing"));
    const wordsOf = (gigaopsPerSecond: number, usesBytes: boolean) => {
      const products = { gigaflopsPerSecond: 94.2, gigaopsPerSecond, usesBytes };
      return inWords({ ...examination, device: { ...examination.device, products } });
    };
    expect(inWords(examination)).toMatch(/^products {2}f32 \d+ GFLOP\/s.*dtype "q8"/m);
    expect(wordsOf(310, true)).toMatch(
      /^products {2}f32 94 GFLOP\/s, 8 bits 310 GOP\/s: .* multiplies in 8 bits$/m,
    );
    expect(wordsOf(90, false)).toMatch(/8 bits 90 GOP\/s: dtype "q8" uses f32/);
    expect(wordsOf(0, false)).toMatch(/those of 8 bits are not exact in this runtime: dtype "q8" uses f32$/m);
  });

  async function printed(...args: string[]): Promise<{ code: number; output: string }> {
    const written = vi.spyOn(process.stdout, "write").mockReturnValue(true);
    const told = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    try {
      const code = await doctor(args);
      return { code, output: written.mock.calls.map(([text]) => text).join("") };
    } finally {
      written.mockRestore();
      told.mockRestore();
    }
  }

  it("explains itself", async () => {
    const { code, output } = await printed("--help");
    expect(code).toBe(0);
    expect(output).toContain("florence2 doctor [model]");
  });

  it("ends with 1, and a remedy for each problem and remark", async () => {
    vi.stubGlobal("navigator", NO_ADAPTER);
    const { code, output } = await printed(join(folder, "nothing"));
    expect(code).toBe(1);
    expect(output.match(/^Problem: .+\n {2}.+$/gm)).toHaveLength(1);
    expect(output.match(/^Remark: .+\n {2}.+$/gm)).toHaveLength(1);
    expect(output).not.toContain("Nothing has to be mended");
  });

  it.skipIf(gpuMissing)("ends with 0 where all is well, and says the same in JSON", async () => {
    const { code, output } = await printed(tiny, "--json");
    const examination = JSON.parse(output) as Examination;
    expect(examination.findings.filter(({ kind }) => kind === "problem")).toEqual([]);
    expect(code).toBe(0);
    expect(examination.device!.limits.every(({ found, needed = 0 }) => found >= needed)).toBe(true);
    for (const { compared, worst } of examination.model!.kernels) {
      expect(compared).toBeGreaterThan(0);
      expect(worst).toBeLessThan(1e-4);
    }
    const words = inWords(examination);
    expect(words).toContain(examination.device!.name);
    expect(words).toMatch(/^kernel {4}window_attention(\/\w+)?: calls \d+, compared with the twin \d+, /m);
    expect(words).toContain("Nothing has to be mended.");
  });
});
