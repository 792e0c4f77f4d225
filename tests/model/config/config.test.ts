import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openFiles } from "../../../files/files.ts";
import type { JsonValue } from "../../../files/json.ts";
import { converted, released } from "../../../measure/generated/configurations.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { parseImageConfig } from "../../../model/config/image.ts";
import { changed, rejects } from "../../support/changed_config.ts";
import { florenceError } from "../../support/errors.ts";

const RELEASED = new URL("../../../../shared/data/config/", import.meta.url);

describe("config.json", () => {
  it("of base, in the key names of Microsoft", () => {
    expect(parseConfig(released("base"))).toEqual({
      vision: {
        inChannels: 3,
        embedDim: [128, 256, 512, 1024],
        depths: [1, 1, 9, 1],
        numHeads: [4, 8, 16, 32],
        numGroups: [4, 8, 16, 32],
        patchSize: [7, 3, 3, 3],
        patchStride: [4, 2, 2, 2],
        patchPadding: [3, 1, 1, 1],
        patchPrenorm: [false, true, true, true],
        windowSize: 12,
        mlpRatio: 4,
        qkvBias: true,
        activation: "gelu",
      },
      projection: {
        dim: 768,
        maxPositionEmbeddings: 50,
        maxTemporalEmbeddings: 100,
        imageFeatureSource: ["spatial_avg_pool", "temporal_avg_pool"],
      },
      text: {
        dModel: 768,
        encoderLayers: 6,
        decoderLayers: 6,
        encoderAttentionHeads: 12,
        decoderAttentionHeads: 12,
        encoderFfnDim: 3072,
        decoderFfnDim: 3072,
        vocabSize: 51289,
        maxPositionEmbeddings: 1024,
        scaleEmbedding: false,
        activation: "gelu",
      },
      tokens: { bos: 0, pad: 1, eos: [2], decoderStart: 2, forcedBos: 0, forcedEos: [2] },
      generation: {
        numBeams: 3,
        earlyStopping: true,
        noRepeatNgramSize: 3,
        repetitionPenalty: 1,
        lengthPenalty: 1,
        minNewTokens: 0,
        doSample: false,
        temperature: 1,
        topK: 50,
        topP: 1,
      },
    });
  });

  it("in the key names of transformers says the same (D2)", () => {
    for (const size of ["base", "large"] as const) {
      const microsoft = parseConfig(released(size));
      const transformers = parseConfig(converted(size));
      expect(transformers).toEqual({ ...microsoft, text: { ...microsoft.text, vocabSize: 51328 } });
    }
  });

  it("may have both key names, if they agree", () => {
    const both = converted("base");
    both.vision_config = { ...released("base").vision_config, ...both.vision_config };
    expect(parseConfig(both)).toEqual(parseConfig(converted("base")));
    both.vision_config.dim_embed = [1, 2, 3, 4];
    rejects(both, "vision_config.dim_embed is [1,2,3,4]", "vision_config.embed_dim");
    const positions = converted("base");
    positions.vision_config.image_pos_embed = { max_pos_embeddings: 40 };
    rejects(positions, "image_pos_embed.max_pos_embeddings is 40", "Expected 50");
  });

  it("is missing, or no JSON, or no object (D1)", async () => {
    const text = (content: string) => openFiles({ "config.json": new Blob([content]) }).json("config.json");
    await expect(openFiles({}).json("config.json")).rejects.toEqual(
      florenceError("file_not_found", "config.json"),
    );
    for (const content of ["", "{", "// comment\n{}", '{"d_model": NaN}', "{'a': 1}", "{} {}"]) {
      await expect(text(content)).rejects.toEqual(
        florenceError("config_invalid", "config.json is not valid JSON"),
      );
    }
    for (const content of ["[]", "null", '"florence2"', "1"]) {
      rejects(await text(content), /^config.json is .* Expected an object/);
    }
    rejects(await text("{}"), "config.json: vision_config is missing");
    rejects({ ...released("base"), text_config: [] }, "config.json: text_config is []");
  });

  it("may be of Florence-2 only, and is never followed to code (D2)", () => {
    rejects({ ...released("base"), model_type: "bart" }, 'model_type is "bart"', '"florence2"');
    const { model_type: _, ...untyped } = released("base");
    expect(parseConfig(untyped)).toEqual(parseConfig(released("base")));
    const hostile = {
      ...released("base"),
      auto_map: { AutoConfig: "file:///evil.py" },
      trust_remote_code: true,
    };
    expect(parseConfig(hostile)).toEqual(parseConfig(released("base")));
  });

  it("has wrong token ids at its top level, as the first release had (D8)", () => {
    const first = { ...released("base"), bos_token_id: 2, eos_token_id: 1, pad_token_id: 0 };
    expect(parseConfig(first).tokens).toEqual(parseConfig(released("base")).tokens);
  });

  it("may have unknown keys (D12)", () => {
    const extra = changed("vision_config", { enable_checkpoint: true, constructor: 1, toString: "x" });
    expect(parseConfig({ ...extra, ...JSON.parse('{"__proto__": {"model_type": "bart"}}') })).toEqual(
      parseConfig(released("base")),
    );
  });

  it("may have any torch_dtype: the weights say what they are (D14)", () => {
    for (const torch_dtype of ["float16", "bfloat16", "float32", null]) {
      expect(parseConfig({ ...released("base"), torch_dtype })).toEqual(parseConfig(released("base")));
    }
  });
});

describe.skipIf(!existsSync(RELEASED))("the configurations of released models", () => {
  const read = (name: string): JsonValue => JSON.parse(readFileSync(new URL(name, RELEASED), "utf8"));
  const LARGE = "microsoft-florence-2-large/";

  it("of base", () => {
    expect(parseConfig(read("config.json"), read("generation_config.json"))).toEqual(
      parseConfig(released("base")),
    );
    expect(parseImageConfig({ preprocessor: read("preprocessor_config.json") })).toMatchObject({
      width: 768,
      height: 768,
    });
  });

  it.each([
    ["33ee8e1", 1024],
    ["00d2f15", 4096],
  ])("of large at %s, for %i tokens (D7, D8, D9)", (revision, maxPositionEmbeddings) => {
    const config = parseConfig(
      read(`${LARGE}${revision}.config.json`),
      read(`${LARGE}${revision}.generation_config.json`),
    );
    const expected = parseConfig(released("large"));
    expect(config).toEqual({ ...expected, text: { ...expected.text, maxPositionEmbeddings } });
    const preprocessor = read(`${LARGE}${revision}.preprocessor_config.json`);
    expect(parseImageConfig({ preprocessor })?.mean[0]).toBe(0.485);
  });
});
