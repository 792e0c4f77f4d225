import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { barsTable } from "../../bench/peers/bars.ts";
import { captionOf, type Question } from "../../bench/peers/contestant.ts";
import { ensureGraphs } from "../../bench/peers/graphs.ts";
import { likeliest, loadOnnxRuntime } from "../../bench/peers/onnxruntime.ts";
import { openPyTorch } from "../../bench/peers/pytorch.ts";
import {
  checkTokens,
  compare,
  type PeersReport,
  PHASES,
  type Phase,
  sharedTokens,
} from "../../bench/peers/report.ts";
import { withReports, writeReport } from "../../bench/report.ts";
import { originOf } from "../../measure/origin.ts";
import { generationSettings } from "../../model/generation/options.ts";
import { florenceError } from "../support/errors.ts";

const folder = mkdtempSync(join(tmpdir(), "florence2-peers-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Load and first caption once, all else in three rounds. */
const outcome = (name: string, times: number[], peakBytes: number) => ({
  name,
  version: `${name} 1.0`,
  peakBytes,
  sameTokens: name === "slower" ? 7 : 20,
  timesOf: (phase: Phase) => (phase === "load" || phase === "first caption" ? times.slice(0, 1) : times),
});

describe("times beside ours", () => {
  const { contestants, rows } = compare([
    outcome("ours", [10, 20, 40], 2 ** 28),
    outcome("slower", [30, 50, 80], 2 ** 29),
    outcome("faster", [5, 5, 30], 2 ** 27),
  ]);
  const row = (phase: Phase, contestant: string) =>
    rows.find((row) => row.phase === phase && row.contestant === contestant);

  it("are of the same round, whoever is faster", () => {
    expect(rows).toHaveLength(3 * PHASES.length);
    expect(row("whole caption", "ours")).toMatchObject({ ms: 20, fastest: 10, slowest: 40, ratio: 1 });
    expect(row("whole caption", "slower")).toMatchObject({
      ms: 50,
      fastest: 30,
      slowest: 80,
      ratio: 2.5,
      leastRatio: 2,
      mostRatio: 3,
    });
    expect(row("first token", "faster")).toMatchObject({ ratio: 0.5, leastRatio: 0.25, mostRatio: 0.75 });
    expect(row("load", "slower")).toMatchObject({ ms: 30, ratio: 3, leastRatio: 3, mostRatio: 3 });
    expect(contestants.map(({ peakRatio }) => peakRatio)).toEqual([1, 2, 0.5]);
  });

  it("stand in a report of their own, with those who could not take part", () => {
    const origin = {
      adapter: "A (fast) one",
      processor: "P",
      processors: 2,
      load: 0.5,
      runtime: "Node v20.1.2, linux x64",
      hostClock: "CPU time",
      commit: "abc",
      date: "2026-01-02T03:04:05.678Z",
    };
    const absent = [{ name: "broken", reason: "no adapter" }];
    const report: PeersReport = {
      part: "peers",
      origin,
      model: "nano",
      tokens: 20,
      dtype: "f32",
      firstTokens: 2,
      rounds: 3,
      contestants,
      absent,
      rows,
    };
    expect(writeReport(folder, report)).toBe(join(folder, "a-fast-one", "nano.peers.node-20.json"));
    const tables = withReports("<!-- bench -->\n<!-- /bench -->\n", folder);
    expect(tables).toMatch(/\| phase +\| +ours, ms \| +slower \| +faster \|/);
    expect(tables).toMatch(
      /\| whole caption +\| +20 \(10 to 40\) \| +2\.50 \(2 to 3\) \| +0\.500 \(0\.250 to 0\.750\) \|/,
    );
    expect(tables).toMatch(/\| load +\| +10 \| +3 \| +0\.500 \|/);
    expect(tables).toContain(
      "- slower: slower 1.0; at most 512 MiB in its process, 2 of ours; the first 7 of its tokens are ours",
    );
    expect(tables).toMatch(/- faster: .*; all of its tokens are ours/);
    expect(tables).toContain("- broken: could not take part, no adapter");
  });

  it("count for the same tokens only", () => {
    const [whole, half] = [{ name: "one" }, { name: "two", isRounded: true }];
    expect(() => checkTokens(whole, [0, 5, 2], [0, 5, 2])).not.toThrow();
    expect(() => checkTokens(whole, [0, 6, 2], [0, 5, 2])).toThrow(
      /one gives other tokens .* 0 6 2 instead of 0 5 2/,
    );
    expect(() => checkTokens(half, [0, 6, 2], [0, 5, 2])).not.toThrow();
    expect(() => checkTokens(half, [0, 5], [0, 5, 2])).toThrow(/two gives other tokens/);
    expect(sharedTokens([0, 6, 2], [0, 5, 2])).toBe(1);
  });

  it("of a further token leave out those that came with the first", () => {
    const { times } = captionOf([0, 1, 2, 3, 4], 3, [100, 150, 180, 200]);
    expect(times).toEqual({
      "vision and encoder": 50,
      "first token": 30,
      "each further token": 10,
      "whole caption": 100,
    });
  });
});

describe("the bars of the CPU engine", () => {
  const names = [
    "CPU engine, f32",
    "CPU engine, f16",
    "CPU engine, q8",
    "ONNX Runtime, CPU",
    "ONNX Runtime, WASM",
  ];
  const base = outcome("software Vulkan of before", [26, 26, 26], 1);
  const times = { "CPU engine, f32": 10, "CPU engine, f16": 9, "CPU engine, q8": 6, "ONNX Runtime, CPU": 7 };
  const outcomes = names.map((name) => {
    const ms = (times as Record<string, number>)[name] ?? 18;
    return outcome(name, [ms, ms, 2 * ms], name === "ONNX Runtime, CPU" ? 2000 : 1000);
  });
  const report: PeersReport = {
    part: "peers",
    origin: { ...originOf("CPU"), runtime: "Node v24.1.0, linux x64" },
    model: "base",
    tokens: 20,
    dtype: "f32",
    firstTokens: 2,
    rounds: 3,
    absent: [],
    firstAnswers: [1200, 450, 480],
    products: { gigaflop: 0.26, gigaflopsPerSecond: 44, shareOfMultiplyAdd: 0.74 },
    ...compare([...outcomes, base]),
  };
  const rowOf = (table: string, what: string) =>
    table
      .split("\n")
      .find((line) => line.includes(what))!
      .split("|")
      .slice(2, -1)
      .map((cell) => cell.trim());

  it("are reached or not by what a run has seen", () => {
    const table = barsTable(report);
    expect(rowOf(table, "matrix products")).toEqual(["at least 75 %", "90 %", "74 %", "no"]);
    // 0.26 GFLOP in 26 ms: software Vulkan is slow enough for the higher bar.
    expect(rowOf(table, "which reaches 10 GFLOP/s")).toEqual([
      "at least 5 times",
      "8 times",
      "2.60 times",
      "no",
    ]);
    expect(rowOf(table, "WASM")).toEqual(["at least 2 times", "3 times", "1.80 times", "no"]);
    expect(rowOf(table, "f32: time over")).toEqual(["at most 2 times", "1.20 times", "1.43 times", "yes"]);
    expect(rowOf(table, "each further token")).toEqual(["at most 1.20 times", "1 times", "1.29 times", "no"]);
    expect(rowOf(table, "whole caption, q8")).toEqual([
      "at most 1 times",
      "0.500 times",
      "0.857 times",
      "yes",
    ]);
    expect(rowOf(table, "first answer")).toEqual(["at most 1000 ms", "500 ms", "480 ms", "yes, more"]);
    expect(rowOf(table, "memory of the process")).toEqual(["at most 60 %", "-", "50 %", "yes"]);
  });

  it("say what this run does not tell", () => {
    const { contestants, rows } = compare(outcomes.slice(0, 3));
    const origin = { ...report.origin, runtime: "Node v20.1.0, linux x64" };
    const table = barsTable({ ...report, origin, contestants, rows });
    for (const what of ["software Vulkan", "WASM", "each further token", "whole caption, q8", "memory"])
      expect(rowOf(table, what).slice(2)).toEqual(["not in this run", "-"]);
    expect(rowOf(table, "software Vulkan").slice(0, 2)).toEqual(["at least 2.50 times", "4 times"]);
  });
});

describe("the greedy search of the peers", () => {
  const model = { vocabSize: 6, maxPositions: 20, decoderStartTokenId: 2, eosTokenId: 2 };
  const settings = generationSettings({ numBeams: 1, minNewTokens: 8, maxNewTokens: 8 }, model);
  const logits = Float32Array.of(0, 1, 9, 3, 5, 4);

  it("begins and ends as it is told, and does not end before", () => {
    expect(likeliest(logits, [2], settings)).toBe(0);
    expect(likeliest(logits, [2, 0], settings)).toBe(4);
    expect(likeliest(logits, [2, 0, 3, 3, 3, 3, 3], { ...settings, minNewTokens: 3 })).toBe(2);
    expect(likeliest(logits, [2, 0, 3, 1, 3, 1, 5, 5], settings)).toBe(2);
  });

  it("repeats no three tokens", () => {
    expect(likeliest(logits, [2, 0, 5, 3, 4, 5, 3], settings)).toBe(5);
    expect(likeliest(logits, [2, 0, 5, 3, 4, 5, 3], { ...settings, noRepeatNgramSize: 0 })).toBe(4);
  });
});

describe("PyTorch", () => {
  afterEach(() => vi.unstubAllEnvs());

  const question: Question = {
    folder: "checkpoints/nano",
    imageConfig: { width: 2, height: 1, rescaleFactor: 1, mean: [0, 0, 0], std: [1, 1, 1] },
    pixelValues: Float32Array.of(1, 2, 3, 4, 5, 6),
    promptIds: [0, 5, 2],
    tokens: 4,
    dtype: "f32",
    threads: 2,
  };
  /** A Python that notes what it is asked, and answers with these lines, one each. */
  function pythonThat(...answers: object[]): string {
    const [python, asked] = [join(folder, "python"), join(folder, "asked")];
    const lines = answers.map(
      (answer) => `read -r line\necho "$line" >> ${asked}\necho '${JSON.stringify(answer)}'`,
    );
    writeFileSync(python, ["#!/bin/sh", `: > ${asked}`, ...lines].join("\n"), { mode: 0o755 });
    vi.stubEnv("FLORENCE2_REFERENCE_PYTHON", python);
    return asked;
  }

  it("is asked with the rules of the search, and tells its own times and memory", async () => {
    const tokens = [0, 7, 8, 2];
    const asked = pythonThat(
      { version: "torch 1", ms: 12 },
      { tokens, marks: [100, 150, 160, 190], peakBytes: 2 ** 30 },
    );
    const { version, loadMs, isRounded, ...python } = await openPyTorch(question, {
      device: "cpu",
      compiled: false,
    });
    expect([version, loadMs, isRounded]).toEqual(["torch 1", 12, false]);
    const caption = await python.caption();
    expect(caption).toEqual(captionOf(tokens, 1, [100, 150, 160, 190]));
    expect(python.peakBytes!()).toBe(2 ** 30);
    const [opening] = readFileSync(asked, "utf8").split("\n");
    const { rules, side, prompt, pixels } = JSON.parse(opening!);
    expect(rules).toMatchObject({ min_new_tokens: 4, max_new_tokens: 4, forced_bos_token_id: 0 });
    expect([side, prompt]).toEqual([
      [1, 2],
      [0, 5, 2],
    ]);
    expect([...new Float32Array(new Uint8Array(Buffer.from(pixels, "base64")).buffer)]).toEqual([
      1, 2, 3, 4, 5, 6,
    ]);
  });

  it("says what it lacks", async () => {
    pythonThat({ error: "PyTorch finds no CUDA device" });
    await expect(openPyTorch(question, { device: "cuda", compiled: true })).rejects.toEqual(
      florenceError("dependency_missing", "no CUDA device"),
    );
    vi.stubEnv("FLORENCE2_REFERENCE_PYTHON", join(folder, "no-python"));
    await expect(openPyTorch(question, { device: "cpu", compiled: false })).rejects.toEqual(
      florenceError("dependency_missing", "no-python", "requirements.txt"),
    );
  });
});

describe("what the peers need", () => {
  afterEach(() => vi.unstubAllEnvs());

  it("is named with the way to get it where ONNX Runtime is missing", () => {
    const code = "dependency_missing";
    const message = expect.stringContaining(`npm install --prefix ${folder}`);
    expect(() => loadOnnxRuntime("cpu", folder)).toThrow(expect.objectContaining({ code, message }));
  });

  it("is named with the way to get it where Python is missing", () => {
    vi.stubEnv("FLORENCE2_REFERENCE_PYTHON", join(folder, "no-python"));
    const code = "dependency_missing";
    const message = expect.stringContaining("tests/reference/requirements.txt");
    const graphs = join(folder, "graphs");
    expect(() => ensureGraphs("checkpoints/nano", 128, graphs)).toThrow(
      expect.objectContaining({ code, message }),
    );
  });
});
