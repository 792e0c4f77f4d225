/**
 * One model in every form in which people have Florence-2 (tests/reference/flavours.py), against transformers.
 * With FLORENCE2_TEST_FLAVOURS=FOLDER also those that the script wrote there, such as base in full size.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { Florence2 } from "../index.ts";

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

const folders = [
  fileURLToPath(new URL("fixtures/flavours", import.meta.url)),
  ...(process.env.FLORENCE2_TEST_FLAVOURS ? [process.env.FLORENCE2_TEST_FLAVOURS] : []),
];

for (const folder of folders) {
  describe(`the flavours of ${folder}`, () => {
    const expected = JSON.parse(readFileSync(`${folder}/expected.json`, "utf8")) as Expected;
    const picture = new URL(`fixtures/pictures/${expected.picture}`, import.meta.url);

    it("are all in the table", () => {
      const written = readdirSync(folder).filter((name) => existsSync(`${folder}/${name}/config.json`));
      expect(written.sort()).toEqual(FLAVOURS.map(([name]) => name).sort());
    });

    it.each(FLAVOURS)("%s: %s", async (name) => {
      const model = await Florence2.fromPretrained(`${folder}/${name}`, { onWarning: () => {} });
      try {
        for (const { text, input_ids } of expected.prompts)
          expect(model.tokenizer.encode(text)).toEqual(input_ids);
        const image = await model.encodeImage(picture);
        for (const { task, tokens, adapter } of expected.prompts) {
          const found = await model.run(image, task, { maxNewTokens: expected.max_new_tokens });
          expect(found.tokens, task).toEqual(name === "adapter" ? adapter : tokens);
        }
        image.dispose();
      } finally {
        model.dispose();
      }
    });
  });
}
