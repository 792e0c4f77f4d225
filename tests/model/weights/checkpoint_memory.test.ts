/** What loading needs of the host's memory, beside what the device holds: base in float16, from every kind of file. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { CpuRunner } from "../../../core/cpu/cpu_runner.ts";
import type { Runner } from "../../../core/runner.ts";
import { openModelFiles } from "../../../files/open_model_files.ts";
import { released } from "../../../measure/generated/configurations.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { expectedTensors, OUTPUT_HEAD, SHARED_EMBEDDING } from "../../../model/weights/expected_tensors.ts";
import { loadWeights } from "../../../model/weights/load_weights.ts";
import type { WeightsDtype, WeightTarget } from "../../../model/weights/loader.ts";
import { openCheckpoint, WEIGHT_FILES } from "../../../model/weights/open_checkpoint.ts";
import { discardingRunner } from "../../support/discarding_runner.ts";
import { collectGarbage } from "../../support/garbage.ts";
import { newFolder } from "../../support/hub_cache.ts";
import { REPOSITORY, startHub } from "../../support/hub_server.ts";
import {
  type StoredTensor,
  writeSparsePytorch,
  writeSparseSafetensors,
} from "../../support/sparse_checkpoint.ts";

const MIB = 2 ** 20;
const config = parseConfig(released("base"));
const tensors: ReadonlyMap<string, StoredTensor> = new Map(
  [...expectedTensors(config)]
    .filter(([name]) => name !== OUTPUT_HEAD && !name.endsWith("embed_tokens.weight"))
    .map(([name, shape]) => [name, { dtype: "F16", shape }]),
);
const largest = 2 * tensors.get(SHARED_EMBEDDING)!.shape.reduce((product, size) => product * size);
const SHARDS = 3;

type Write = (path: string, tensors: ReadonlyMap<string, StoredTensor>) => void;

/** Shards with their index, as transformers writes them. */
function writeShards(folder: string, stem: string, ending: string, write: Write): void {
  const weight_map: Record<string, string> = {};
  for (let shard = 0; shard < SHARDS; shard++) {
    const name = `${stem}-0000${shard + 1}-of-0000${SHARDS}.${ending}`;
    const own = [...tensors].filter((_, i) => i % SHARDS === shard);
    for (const [tensor] of own) weight_map[tensor] = name;
    write(join(folder, name), new Map(own));
  }
  writeFileSync(join(folder, `${stem}.${ending}.index.json`), JSON.stringify({ metadata: {}, weight_map }));
}

const FORMS: readonly (readonly [string, (folder: string) => void])[] = [
  ["model.safetensors", (folder) => writeSparseSafetensors(join(folder, "model.safetensors"), tensors)],
  ["shards of safetensors", (folder) => writeShards(folder, "model", "safetensors", writeSparseSafetensors)],
  ["pytorch_model.bin", (folder) => writeSparsePytorch(join(folder, "pytorch_model.bin"), tensors)],
  ["shards of torch.save", (folder) => writeShards(folder, "pytorch_model", "bin", writeSparsePytorch)],
];

/** Bytes that this process has in memory; `peak` is the most since `forgetPeak`. */
function residentBytes(kind: "now" | "peak"): number {
  const field = kind === "now" ? "VmRSS" : "VmHWM";
  const status = readFileSync("/proc/self/status", "utf8");
  return 1024 * Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)![1]);
}
const forgetPeak = () => writeFileSync("/proc/self/clear_refs", "5");

/**
 * By how much loading raises what this process has in memory, at most, beside what the runner holds; everything is read
 * once.
 */
async function bytesToLoad(
  source: string,
  dtype?: WeightsDtype,
  runner: WeightTarget & { readonly memory?: Runner["memory"] } = discardingRunner(),
): Promise<number> {
  const held = () => runner.memory?.bytes ?? 0;
  // What the test before has left would make room for what this one takes.
  collectGarbage();
  forgetPeak();
  const before = residentBytes("now") - held();
  const files = await openModelFiles(source, [WEIGHT_FILES]);
  const checkpoint = await openCheckpoint(files, config);
  let loaded = 0;
  await loadWeights(checkpoint, config, runner, {
    dtype,
    onProgress: (bytes, total) => {
      loaded = bytes / total;
    },
  });
  await checkpoint.close();
  expect(loaded).toBe(1);
  return residentBytes("peak") - held() - before;
}

describe.skipIf(!existsSync("/proc/self/clear_refs"))("the memory to load base (needs Linux's /proc)", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await newFolder();
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true });
  });

  it.each(FORMS)("from %s is at most its largest tensor and 64 MiB", async (name, write) => {
    const own = join(folder, name.replaceAll(" ", "_"));
    mkdirSync(own);
    write(own);
    expect(await bytesToLoad(own)).toBeLessThan(largest + 64 * MIB);
  });

  it.each(["f32", "f16", "q8"] as const)("onto the CPU engine in %s is no more", async (dtype) => {
    const own = join(folder, `for_${dtype}`);
    mkdirSync(own);
    writeSparseSafetensors(join(own, "model.safetensors"), tensors);
    const runner = await CpuRunner.open({ asksForI8: dtype === "q8" });
    try {
      expect(await bytesToLoad(own, dtype, runner)).toBeLessThan(largest + 64 * MIB);
      expect(runner.memory.bytes).toBeGreaterThan({ f32: 850, f16: 420, q8: 200 }[dtype] * MIB);
    } finally {
      runner.dispose();
    }
  });

  it("from a hub is no more, download included", async () => {
    const path = join(folder, "on_the_hub");
    writeSparseSafetensors(path, tensors);
    const hub = await startHub({ "model.safetensors": await readFile(path) });
    try {
      vi.stubEnv("HF_ENDPOINT", hub.url);
      vi.stubEnv("HF_HUB_CACHE", join(folder, "cache"));
      expect(await bytesToLoad(REPOSITORY)).toBeLessThan(largest + 64 * MIB);
    } finally {
      await hub.close();
    }
  });

  it("is seen by this measure", async () => {
    forgetPeak();
    const before = residentBytes("now");
    new Uint8Array(256 * MIB).fill(1);
    expect(residentBytes("peak") - before).toBeGreaterThan(250 * MIB);
  });
});
