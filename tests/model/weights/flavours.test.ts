/**
 * One model in every form in which people have Florence-2 (tests/reference/flavours.py), from a hub to its answers,
 * against transformers. With FLORENCE2_TEST_FLAVOURS=FOLDER also those that the script wrote there, such as base in
 * full size, which are asked one question each, and whose image the first one sees for all that have its weights.
 */
import { existsSync } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { openRunner } from "../../../core/device.ts";
import { GpuRunner } from "../../../core/gpu/gpu_runner.ts";
import type { TensorData } from "../../../core/tensor.ts";
import { EncodedImage } from "../../../model/encoded_image.ts";
import { Florence2 } from "../../../model/florence2.ts";
import { type ModelContents, readModelFiles } from "../../../model/loading/read_model_files.ts";
import type { FlorenceCheckpoint } from "../../../model/weights/checkpoint.ts";
import { expectedTensors, OUTPUT_HEAD, SHARED_EMBEDDING } from "../../../model/weights/expected_tensors.ts";
import { loadWeights } from "../../../model/weights/load_weights.ts";
import { newFolder } from "../../support/hub_cache.ts";
import { filesIn, type HubServer, REPOSITORY, startHub } from "../../support/hub_server.ts";

interface Expected {
  readonly picture: string;
  readonly max_new_tokens: number;
  readonly prompts: readonly {
    readonly task: string;
    readonly text: string;
    readonly input_ids: number[];
    readonly tokens: number[];
    /** With the adapter. */
    readonly adapter: number[];
  }[];
}

const FLAVOURS: readonly (readonly [folder: string, content: string])[] = [
  ["transformers", "F32, a table grown by <image> and padding, a tokenizer.json of 1030 added tokens"],
  ["transformers-sharded", "F16 in shards, a tokenizer.json of 5 added tokens"],
  ["transformers-bfloat16", "BF16, vocab.json, merges.txt and added_tokens.json"],
  ["transformers-head-only", "the output head is stored, the token table is not"],
  ["microsoft-bin", "pytorch_model.bin, four names for one table, wrong ids at the top of config.json"],
  ["microsoft-bin-sharded", "pytorch_model.bin in shards"],
  ["microsoft-long", "safetensors, four times the positions, a tokenizer.json of 1029 added tokens"],
  ["microsoft-repeated", "safetensors, the table stored four times"],
  ["adapter", "LoRA by peft beside the weights, the output head's included"],
];
const [[FIRST]] = FLAVOURS as [readonly [string, string]];

const TINY = fileURLToPath(new URL("../../fixtures/flavours", import.meta.url));
const FULL_SIZE = process.env.FLORENCE2_TEST_FLAVOURS;

for (const folder of FULL_SIZE ? [TINY, FULL_SIZE] : [TINY]) {
  describe(`the flavours of ${folder}`, () => {
    let expected: Expected;
    let hub: HubServer;
    let cache: string;
    let gpu: GPUDevice | undefined;
    let first: ModelContents;
    /** The image as the first flavour sees it. */
    let seen: { readonly shape: readonly number[]; readonly data: TensorData } | undefined;

    beforeAll(async () => {
      expected = JSON.parse(await readFile(`${folder}/expected.json`, "utf8"));
      const runner = await openRunner("auto", { onWarning: () => {} });
      // One device for all: what is compiled for one flavour serves the others.
      if (runner instanceof GpuRunner) gpu = runner.device;
      first = await readModelFiles(`${folder}/${FIRST}`);
      hub = await startHub({});
    });
    afterAll(async () => {
      gpu?.destroy();
      await first.checkpoint.close();
      await hub.close();
    });
    beforeEach(async () => {
      cache = await newFolder();
      vi.stubEnv("HF_ENDPOINT", hub.url);
      vi.stubEnv("HF_HUB_CACHE", cache);
    });
    afterEach(async () => {
      vi.unstubAllEnvs();
      await rm(cache, { recursive: true });
    });

    it("are all in the table", async () => {
      const written = (await readdir(folder)).filter((name) => existsSync(`${folder}/${name}/config.json`));
      expect(written.sort()).toEqual(FLAVOURS.map(([name]) => name).sort());
    });

    it.each(FLAVOURS)("%s: %s", async (name) => {
      hub.push(await filesIn(`${folder}/${name}`));
      const { config, imageConfig, tokenizer, checkpoint } = await readModelFiles(REPOSITORY);
      hub.push({});
      const runner = await openRunner(gpu ?? "cpu");
      try {
        for (const { text, input_ids } of expected.prompts) expect(tokenizer.encode(text)).toEqual(input_ids);
        const changed = name === "adapter" ? expect.stringContaining("fc1") : undefined;
        expect(await difference(checkpoint, first)).toEqual(changed);
        let [loaded, total] = [0, 1];
        const weights = await loadWeights(checkpoint, config, runner, {
          onProgress: (...counts) => {
            [loaded, total] = counts;
          },
        });
        expect(loaded).toBe(total);
        // Stored or not, a head that is the token table lies on the device once.
        expect(weights.text.head === weights.text.encoder.embeddings).toBe(name !== "adapter");
        const model = new Florence2(config, imageConfig, tokenizer, runner, weights);
        const borrowed = folder === FULL_SIZE && name !== "adapter" ? seen : undefined;
        const image = borrowed
          ? new EncodedImage(runner.upload("picture tokens", borrowed.shape, borrowed.data), SIZE, runner)
          : await model.encodeImage(new URL(`../../fixtures/pictures/${expected.picture}`, import.meta.url));
        if (name === FIRST) {
          const { features } = image;
          seen = { shape: features.shape, data: await runner.read(features) };
        }
        const questions = folder === FULL_SIZE ? expected.prompts.slice(0, 1) : expected.prompts;
        for (const { task, tokens, adapter } of questions) {
          const found = await model.run(image, task, { maxNewTokens: expected.max_new_tokens });
          expect(found.tokens, task).toEqual(name === "adapter" ? adapter : tokens);
        }
      } finally {
        runner.dispose();
        await checkpoint.close();
      }
    });
  });
}

/** Tokens do not depend on the size to which boxes are scaled. */
const SIZE = { width: 768, height: 768 };
/** Values that are compared at a time. */
const PIECE = 8 * 2 ** 20;

/** The first tensor whose values are not those of the first flavour, in as many rows as both have. */
async function difference(found: FlorenceCheckpoint, first: ModelContents): Promise<string | undefined> {
  for (const name of expectedTensors(first.config).keys()) {
    if (!found.tensors.has(name) || name.endsWith("embed_tokens.weight")) continue;
    // Where the first has no output head of its own, its token table is the head.
    const own = name === OUTPUT_HEAD && !first.checkpoint.tensors.has(name) ? SHARED_EMBEDDING : name;
    if (!first.checkpoint.tensors.has(own)) continue;
    const [rows, ...row] = found.tensors.get(name)!.shape as [number, ...number[]];
    const shared = Math.min(rows, first.checkpoint.tensors.get(own)!.shape[0]!);
    const step = Math.max(1, Math.floor(PIECE / row.reduce((product, size) => product * size, 1)));
    for (let from = 0; from < shared; from += step) {
      const to = Math.min(from + step, shared);
      const [a, b] = [await found.readRows(name, from, to), await first.checkpoint.readRows(own, from, to)];
      if (Buffer.compare(Buffer.from(a.buffer), Buffer.from(b.buffer)) !== 0) return name;
    }
  }
  return undefined;
}
