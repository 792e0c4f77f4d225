import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type FileContent, openFiles } from "../../../files/files.ts";
import { openSafetensors } from "../../../files/tensors/safetensors.ts";
import { parityCheckpoint } from "../../../measure/generated/parity_weights.ts";
import { parseConfig } from "../../../model/config/config.ts";
import type { FlorenceCheckpoint } from "../../../model/weights/checkpoint.ts";
import {
  expectedTensors,
  LOGITS_BIAS,
  OUTPUT_HEAD,
  SHARED_EMBEDDING,
} from "../../../model/weights/expected_tensors.ts";
import { storedName } from "../../../model/weights/layouts.ts";
import { withAdapter } from "../../../model/weights/lora.ts";
import { florenceError } from "../../support/errors.ts";
import { modelFixture, tensorFixture } from "../../support/parity_model.ts";
import { safetensorsBytes, type TensorBytes } from "../../support/safetensors_bytes.ts";

const TINY = parseConfig(modelFixture("tiny.config.json"));
const folder = (name: string) => new URL(`../../fixtures/adapter/${name}/`, import.meta.url);
const json = (value: unknown) => new Blob([JSON.stringify(value)]);
const configOf = (name: string) =>
  JSON.parse(readFileSync(new URL("adapter_config.json", folder(name)), "utf8")) as Record<string, unknown>;

function adapted(source: URL | Record<string, FileContent>, base = parityCheckpoint(TINY)) {
  return withAdapter(base, openFiles(source), expectedTensors(TINY));
}

/** Shapes and values of all tensors that are not the base's. */
async function changes(checkpoint: FlorenceCheckpoint): Promise<Map<string, Float32Array>> {
  const base = parityCheckpoint(TINY);
  const found = new Map<string, Float32Array>();
  for (const name of expectedTensors(TINY).keys()) {
    if (!checkpoint.tensors.has(name)) continue;
    const values = await checkpoint.read(name);
    // What the base does not store is its token table.
    const before = await base.read(base.tensors.has(name) ? name : SHARED_EMBEDDING);
    if (String(values) !== String(before)) found.set(name, values);
  }
  return found;
}

describe("an adapter by peft", () => {
  it.each([
    ["linear", "linear"],
    ["rslora", "rslora"],
    ["microsoft", "linear"],
    ["dora", "dora"],
    ["biases", "biases"],
    ["table", "table"],
  ])("is merged as peft applies it: %s", async (name, expectedName) => {
    const checkpoint = await adapted(folder(name));
    const expected = await tensorFixture(`../adapter/${expectedName}/merged.safetensors`);
    const file = await openSafetensors(new URL("merged.safetensors", folder(expectedName)));
    const found = await changes(checkpoint);
    await Promise.all([file.close(), checkpoint.close()]);
    let worst = 0;
    for (const [canonical, values] of found) {
      const key = storedName(canonical, "transformers");
      const merged = expected.get(key);
      expect(merged, key).toBeDefined();
      // transformers stores the projection the other way round.
      const isTurned = canonical === "image_projection";
      const [outputs, inputs] = file.tensors.get(key)!.shape as [number, number];
      for (const [i, value] of values.entries()) {
        const at = isTurned ? (i % outputs) * inputs + Math.floor(i / outputs) : i;
        worst = Math.max(worst, Math.abs(value - merged![at]!));
      }
      expect(values.length).toBe(merged!.length);
    }
    expect(worst).toBeLessThan(1e-6);
    // What peft lists beyond the changes are biases that were not trained.
    const unchanged = [...expected.keys()].filter(
      (key) => ![...found.keys()].some((canonical) => storedName(canonical, "transformers") === key),
    );
    if (["linear", "dora"].includes(expectedName))
      expect(unchanged.every((key) => key.endsWith(".bias"))).toBe(true);
    else expect(unchanged).toEqual([]);
  });

  it("gives rows, in every place", async () => {
    const checkpoint = await adapted(folder("rslora"));
    for (const name of [
      OUTPUT_HEAD,
      "image_projection",
      "image_proj_norm.bias",
      "vision_tower.convs.1.proj.weight",
      SHARED_EMBEDDING,
    ]) {
      const { shape, dtype } = checkpoint.tensors.get(name)!;
      expect(["F32", "F16"]).toContain(dtype);
      const row = shape.slice(1).reduce((a, b) => a * b, 1);
      const whole = await checkpoint.read(name);
      expect(await checkpoint.readRows(name, 2, 5), name).toEqual(whole.slice(2 * row, 5 * row));
    }
    expect(checkpoint.tensors.has(LOGITS_BIAS)).toBe(true);
    await checkpoint.close();
  });

  it("of the output head leaves the token table as it is", async () => {
    const checkpoint = await adapted(folder("rslora"));
    const table = await parityCheckpoint(TINY).read(SHARED_EMBEDDING);
    expect(parityCheckpoint(TINY).tensors.has(OUTPUT_HEAD)).toBe(false);
    expect(await checkpoint.read(SHARED_EMBEDDING)).toEqual(table);
    expect(checkpoint.tensors.has(OUTPUT_HEAD)).toBe(true);
    expect(await checkpoint.read(OUTPUT_HEAD)).not.toEqual(table);
    await checkpoint.close();
  });

  it("may lack peft's prefix, have the adapter's own name in it, and hold tables that nothing reads", async () => {
    const file = await openSafetensors(new URL("adapter_model.safetensors", folder("linear")));
    const tensors: Record<string, TensorBytes> = {};
    for (const [name, { dtype, shape }] of file.tensors) {
      const renamed = name.replace("base_model.model.", "").replace(/(lora_[AB])/, "$1.default");
      tensors[renamed] = { dtype, shape, bytes: await file.read(name) };
    }
    const table = { dtype: "F32", shape: [301, 24], bytes: new Uint8Array(4 * 301 * 24) };
    tensors["model.language_model.encoder.embed_tokens.weight"] = table;
    await file.close();
    const checkpoint = await adapted({
      "adapter_config.json": json(configOf("linear")),
      "adapter_model.safetensors": safetensorsBytes(tensors),
    });
    expect(await changes(checkpoint)).toEqual(await changes(await adapted(folder("linear"))));
  });

  it("need not be there", async () => {
    const base = parityCheckpoint(TINY);
    expect(await adapted({}, base)).toBe(base);
  });
});

describe("an adapter that cannot be merged", () => {
  const module = "base_model.model.language_model.model.encoder.layers.0.fc1";
  const zeros = (...shape: number[]): TensorBytes => ({
    dtype: "F32",
    shape,
    bytes: new Uint8Array(4 * shape.reduce((a, b) => a * b)),
  });
  const valid = { [`${module}.lora_A.weight`]: zeros(4, 24), [`${module}.lora_B.weight`]: zeros(52, 4) };
  const plain = { peft_type: "LORA", r: 4, lora_alpha: 8 };

  /** Expects an error, and that both files are closed then. */
  async function refused(
    code: "config_invalid" | "checkpoint_mismatch",
    config: object,
    tensors: Record<string, TensorBytes>,
    ...patterns: string[]
  ): Promise<void> {
    let open = 1;
    const base = { ...parityCheckpoint(TINY), close: async () => void open-- };
    const files = openFiles({
      "adapter_config.json": json(config),
      "adapter_model.safetensors": safetensorsBytes(tensors),
    });
    const counted = {
      ...files,
      async open(name: string) {
        const file = await files.open(name);
        open++;
        return { ...file, close: async () => void open-- };
      },
    };
    await expect(withAdapter(base, counted, expectedTensors(TINY))).rejects.toEqual(
      florenceError(code, ...patterns),
    );
    expect(open).toBe(0);
  }

  it("is not refused before it is changed", async () => {
    const files = {
      "adapter_config.json": json(plain),
      "adapter_model.safetensors": safetensorsBytes(valid),
    };
    expect((await changes(await adapted(files))).size).toBe(0);
  });

  it.each<[Record<string, unknown>, string]>([
    [{ peft_type: "ADALORA" }, 'peft_type is "ADALORA"'],
    [{ use_dora: 1 }, "use_dora is 1"],
    [{ init_lora_weights: "pissa" }, 'init_lora_weights is "pissa"'],
    [{ alora_invocation_tokens: [1] }, "alora_invocation_tokens is [1]"],
    [{ r: 0 }, "r is 0"],
    [{ r: null }, "r is missing"],
    [{ lora_alpha: "8" }, 'lora_alpha is "8"'],
    [{ lora_alpha: null }, "lora_alpha is missing"],
    [{ use_rslora: 1 }, "use_rslora is 1"],
    [{ rank_pattern: { fc1: "4" } }, 'rank_pattern.fc1 is "4"'],
    [{ alpha_pattern: [] }, "alpha_pattern is []"],
    [
      { alpha_pattern: { "(a+)+": 8 } },
      "(a+)+",
      "Expected a regular expression of at most 5 repetitions, none of a group",
    ],
    [{ rank_pattern: { ".*.*.*.*.*.*x": 4 } }, "at most 5 repetitions"],
    [{ rank_pattern: { "(?P<n>fc1)": 4 } }, "without syntax of Python's own"],
  ] as [Record<string, unknown>, string][])("says in its configuration %j", async (fields, ...patterns) => {
    await refused("config_invalid", { ...plain, ...fields }, valid, "adapter_config.json", ...patterns);
  });

  it.each<[string, Record<string, TensorBytes>, string]>([
    [
      "a layer that there is not",
      { "base_model.model.encoder.lora_A.weight": zeros(4, 24) },
      "cannot be merged",
    ],
    [
      "the token table",
      { "base_model.model.language_model.model.shared.lora_A.weight": zeros(4, 24) },
      "shared.lora_A.weight",
    ],
    [
      "an embedding",
      { "base_model.model.language_model.model.shared.lora_embedding_A": zeros(4, 301) },
      "stands alone",
    ],
    [
      "magnitudes",
      { [`${module}.lora_magnitude_vector`]: zeros(52) },
      "use_dora of adapter_config.json is false",
    ],
    ["a longer bias", { [`${module}.lora_B.bias`]: zeros(53) }, "Expected [52]"],
    [
      "tokens that were trained apart",
      { "base_model.model.language_model.model.shared.token_adapter.trainable_tokens_delta": zeros(2, 24) },
      "cannot be merged",
    ],
    [
      "both layouts",
      { "base_model.model.model.language_model.encoder.layers.0.fc1.lora_A.weight": zeros(4, 24) },
      "cannot be merged",
    ],
    [
      "one half alone",
      {
        [`${module}.lora_A.weight`]: zeros(4, 24),
        [`${module}.lora_B.weight`]: zeros(52, 4),
        [`${module.replace("fc1", "fc2")}.lora_A.weight`]: zeros(4, 52),
      },
      "stands alone",
    ],
    [
      "another rank",
      { [`${module}.lora_A.weight`]: zeros(3, 24), [`${module}.lora_B.weight`]: zeros(52, 3) },
      "by rank 4",
    ],
    ["another width", { [`${module}.lora_A.weight`]: zeros(4, 25) }, "[52,24]"],
    ["another dtype", { [`${module}.lora_A.weight`]: { ...zeros(4, 24), dtype: "I32" } }, "I32"],
    [
      "a convolution in groups",
      {
        "base_model.model.vision_tower.blocks.0.0.spatial_block.conv1.fn.dw.lora_A.weight": zeros(8, 8, 3, 3),
        "base_model.model.vision_tower.blocks.0.0.spatial_block.conv1.fn.dw.lora_B.weight": zeros(8, 1, 1, 1),
      },
      "[8,1,3,3]",
    ],
    [
      "a whole module of another shape",
      { "base_model.model.image_proj_norm.weight": zeros(25) },
      "Expected [24]",
    ],
  ])("has %s", async (_, tensors, pattern) => {
    await refused(
      "checkpoint_mismatch",
      plain,
      { ...valid, ...tensors },
      "adapter_model.safetensors",
      pattern,
    );
  });

  it("has no magnitudes, though it is DoRA", async () => {
    await refused(
      "checkpoint_mismatch",
      { ...plain, use_dora: true },
      valid,
      "fc1.lora_A.weight",
      "has no magnitude vector",
    );
  });

  it("has no weights", async () => {
    await expect(adapted({ "adapter_config.json": json(configOf("linear")) })).rejects.toEqual(
      florenceError("file_not_found", "adapter_model.safetensors, adapter_model.bin"),
    );
  });
});
