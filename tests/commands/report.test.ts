import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it, vi } from "vitest";
import { decisionsInWords, decisionsOf } from "../../commands/report/decisions.ts";
import { withDecisions, writeReport } from "../../commands/report/document.ts";
import type { Message, Part, PartResult } from "../../commands/report/part.ts";
import { PARTS } from "../../commands/report/parts.ts";
import { perform } from "../../commands/report/perform.ts";
import { report } from "../../commands/report/report.ts";
import { emptyResult, runPart } from "../../commands/report/run_part.ts";
import { checkCase, runTwin } from "../../measure/case_checks.ts";
import { originOf } from "../../measure/origin.ts";
import { type DoubleFaults, doubleCases } from "../support/double_kernel.ts";
import { gpuMissing, openTestGpu } from "../support/gpu.ts";

const program = fileURLToPath(new URL("../support/report_parts/items.mjs", import.meta.url));
/** Much longer than a busy machine needs for the other items. */
const ITEM_SECONDS = 3;
const run = (how: string) =>
  runPart({
    part: "fake",
    module: how,
    title: "A fake",
    device: "gpu",
    seconds: 600,
    itemSeconds: ITEM_SECONDS,
    program,
  });

describe("a part of a report", () => {
  it.each([
    ["hangs", { item: "second", message: `no result after ${ITEM_SECONDS}.0 s` }],
    ["ends", { item: "second", message: "its process ended with exit 7: the driver has ended this process" }],
    ["fails", { item: "second", code: "gpu_lost", message: "The GPU was lost" }],
  ])("goes on in a new process after an item that %s", async (how, failure) => {
    const result = await run(how);
    expect(result).toMatchObject({ outcome: "done", failures: [failure], left: [] });
    expect(result.rows).toEqual([{ item: "first" }, { item: "third" }]);
  });

  it("ends when its time is over, with the results up to then", async () => {
    const result = await runPart({
      part: "fake",
      module: "hangs",
      title: "A fake",
      device: "gpu",
      seconds: 5,
      itemSeconds: 600,
      program,
    });
    expect(result).toMatchObject({
      outcome: "out of time",
      rows: [{ item: "first" }],
      left: ["second", "third"],
    });
  });

  it("has failed where its program cannot be started", async () => {
    const result = await runPart({
      part: "fake",
      module: "",
      title: "A fake",
      device: "gpu",
      seconds: 5,
      program: `${program}.none`,
    });
    expect(result).toMatchObject({ outcome: "failed", failures: [{ message: /process ended with exit 1/ }] });
  });
});

/** What a part tells, run in this process. */
async function told(part: Pick<Part, "run">, settled: string[] = [], seconds = 600): Promise<Message[]> {
  const messages: Message[] = [];
  const whole = { title: "", weight: 1, inWords: () => "", ...part };
  await perform(whole, { device: "gpu", seconds, settled }, (message) => messages.push(message));
  return messages;
}

describe("the process of a part", () => {
  it("does what is not settled, and tells what failed with its stack", async () => {
    const messages = await told(
      {
        async run({ item, add, tell }) {
          tell({ a: 1 });
          await item("one", async () => add({ never: true }));
          await item("two", async () => {
            throw new Error("broken");
          });
          await item("three", async () => add({ n: 3 }));
        },
      },
      ["one"],
    );
    expect(messages).toEqual([
      { facts: { a: 1 } },
      { begun: "two" },
      { failure: { item: "two", message: expect.stringMatching(/^Error: broken\n.*report\.test/) } },
      { settled: "two" },
      { begun: "three" },
      { row: { n: 3 } },
      { settled: "three" },
      { ended: "done" },
    ]);
  });

  it("of PyTorch is absent, with the reason, where there is no Python", async () => {
    vi.stubEnv("FLORENCE2_REFERENCE_PYTHON", "no-such-python");
    const messages = await told(PARTS.peers!, [], 12.3456);
    vi.unstubAllEnvs();
    expect(messages).toEqual([
      { absent: expect.stringMatching(/^no-such-python has no PyTorch with CUDA.*ENOENT/) },
      { ended: "done" },
    ]);
  });

  it("begins nothing when time has run out", async () => {
    const messages = await told({ run: ({ item }) => item("late", async () => {}) }, [], 0);
    expect(messages).toEqual([{ left: "late" }, { ended: "done" }]);
  });

  it.skipIf(gpuMissing)("ends with a device that is lost, after it has told the item", async () => {
    const messages = await told({
      async run({ item, add }) {
        const gpu = await openTestGpu();
        await item("loses the device", async () => {
          gpu.device.destroy();
          await gpu.device.lost;
          await gpu.settle();
        });
        add({ never: true });
      },
    });
    const failure = { code: "gpu_lost", message: expect.stringMatching(/^The GPU was lost/) };
    expect(messages).toEqual([
      { begun: "loses the device" },
      { failure: { item: "loses the device", ...failure } },
      { settled: "loses the device" },
      { failure },
      { ended: "failed" },
    ]);
  });
});

describe.skipIf(gpuMissing)("the check of a kernel", () => {
  async function check(faults: DoubleFaults) {
    return told({
      async run({ item, add }) {
        const gpu = await openTestGpu({ debug: true });
        const suite = doubleCases(faults);
        await item("double", async () => {
          const twin = await runTwin(suite, suite.cases[0]!);
          add({ ...(await checkCase(gpu, suite, suite.cases[0]!, "only", undefined, twin)) });
        });
        gpu.dispose();
      },
    });
  }
  const rowOf = (messages: readonly Message[]) => messages.find((message) => "row" in message)?.row;

  it("tells the worst error, and where it is", async () => {
    expect(rowOf(await check({}))).toMatchObject({ kernel: "double", variant: "only", worst: 0, where: "" });
    const wrong = rowOf(await check({ twin: (x, i) => 2 * x + (i === 321 ? 100 : 0) }));
    expect(wrong).toMatchObject({
      tolerance: 1e-6,
      where: expect.stringMatching(/^out\[321\] is .* instead of/),
    });
    expect(wrong!.worst).toBeGreaterThan(0.5);
    expect(wrong!.compileMs).toBeGreaterThan(0);
  });

  it("takes a NaN for an infinite error", async () => {
    const statement = "out[i] = select(2.0 * x[i], bitcast<f32>(0x7fc00000u + params.count), i == 7u);";
    expect(rowOf(await check({ statement }))).toMatchObject({ worst: Number.POSITIVE_INFINITY });
  });

  it("names the file and line of what does not compile", async () => {
    const messages = await check({ statement: "out[i] = nonsense;" });
    const failure = messages.find((message) => "failure" in message)!.failure;
    expect(failure).toMatchObject({ item: "double", code: "gpu_invalid" });
    expect(failure.message).toMatch(/^double\/only does not compile:\ndouble\.wgsl:13:40 .*nonsense/);
  });
});

const time = {
  phase: "vision",
  kernel: "matmul",
  shape: "M 9",
  count: 3,
  gigabytesPerSecond: 1,
  gigaflopsPerSecond: 1,
};
const calls: PartResult = {
  ...emptyResult({ part: "calls_base", title: "Variants" }),
  outcome: "done",
  facts: { limits: { gigabytesPerSecond: 10, gigaflopsPerSecond: 100 } },
  rows: [
    { ...time, variant: "matrices", isDefault: false, ms: 1 },
    { ...time, variant: "tile", isDefault: true, ms: 2 },
    { ...time, shape: "M 1", variant: "rows", isDefault: true, ms: 1 },
    { ...time, shape: "M 1", variant: "tile", isDefault: false, ms: 0.95 },
    { ...time, kernel: "conv2d", variant: "tile", isDefault: true, ms: 7 },
  ],
};

describe("decisions", () => {
  it("compare the variant that is taken with the fastest one, where there is a choice", () => {
    const of = { model: "base", phase: "vision", kernel: "matmul", count: 3 };
    expect(decisionsOf([calls])).toEqual([
      { ...of, shape: "M 9", taken: "tile", takenMs: 2, fastest: "matrices", fastestMs: 1, isWorthIt: true },
      { ...of, shape: "M 1", taken: "rows", takenMs: 1, fastest: "tile", fastestMs: 0.95, isWorthIt: false },
    ]);
  });

  it("list first what is more than 10 % apart", () => {
    const words = decisionsInWords(decisionsOf([calls]));
    expect(words).toMatch(/^Of 2 calls .* more than 10 % in 1; taking it there would save 3 ms/);
    expect(words).toMatch(/More than 10 % apart:[\s\S]*M 9[\s\S]*Within 10 %:[\s\S]*M 1 /);
    expect(decisionsInWords([])).toMatch(/nothing can be decided/);
  });
});

describe("a report", () => {
  const folder = mkdtempSync(join(tmpdir(), "florence2-report-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const check = {
    kernel: "matmul",
    variant: "tile",
    case: "ragged",
    weights: "f16",
    tolerance: 1e-5,
    compileMs: 1,
  };

  it("is readable by people and programs, with what failed and what was left", () => {
    const results: PartResult[] = [
      {
        ...emptyResult({ part: "kernels", title: "Kernels" }),
        outcome: "out of time",
        seconds: 3,
        rows: [{ ...check, worst: Number.POSITIVE_INFINITY, where: "out[3] is NaN instead of 1" }],
        failures: [
          { item: "layer_norm/portable", code: "gpu_invalid", message: "no\nlayer_norm.wgsl:3:1 no" },
        ],
        left: ["conv2d"],
      },
      { ...emptyResult({ part: "peers", title: "Peers" }), outcome: "absent", reason: "no CUDA" },
      calls,
      emptyResult({ part: "profile", title: "Profile" }),
    ];
    const whole = withDecisions({
      version: "1",
      origin: originOf("A GPU"),
      device: "gpu",
      minutes: 8,
      results,
    });
    writeReport(folder, whole, PARTS);
    const json = JSON.parse(readFileSync(join(folder, "report.json"), "utf8"));
    expect(json.results[0].rows[0].worst).toBe("Infinity");
    expect(json.decisions.length).toBe(2);
    const text = readFileSync(join(folder, "report.md"), "utf8");
    expect(text).toMatch(/^# florence2-webgpu 1 on A GPU\n/);
    expect(text).toContain("Out of time after 3.0 s. 1 items were left. Failures: 1.");
    expect(text).toContain("- **layer_norm/portable**: gpu_invalid: no\n  layer_norm.wgsl:3:1 no");
    expect(text).toContain("- matmul/tile, ragged, weights in f16: error Infinity");
    expect(text).toContain("Absent: no CUDA.");
    expect(text).toContain("Not done yet.");
    expect(text).toMatch(/matmul +\| M 9 +\| +3 \| matrices +\| +1 \| +1 \|/);
    expect(text).toMatch(/\| tile \* +\| +2 \| +2 \|/);
  });

  it.each([
    [["--minutes", "0"], /--minutes is 0, expected/],
    [["--only", "kernel"], /did you mean "?kernels/],
    [["--device", "tpu"], /--device is tpu/],
    [["here"], /takes options only, not here/],
  ])("refuses %j", async (args, message) => {
    await expect(report(args)).rejects.toThrow(message);
  });

  it("has a module for each part", () => {
    for (const name of Object.keys(PARTS))
      expect(existsSync(new URL(`../../commands/report/parts/${name}.ts`, import.meta.url)), name).toBe(true);
  });
});
