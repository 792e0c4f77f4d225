import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openFiles } from "../../../files/files.ts";
import type { JsonObject, JsonValue } from "../../../files/json.ts";
import { converted, released, type Sections } from "../../../measure/generated/configurations.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { countImageTokens, parseImageConfig } from "../../../model/config/image.ts";
import { florenceError } from "../../support/errors.ts";

const RELEASED = new URL("../../../../shared/data/config/", import.meta.url);

function rejects(config: JsonValue, ...patterns: readonly (string | RegExp)[]): void {
  expect(() => parseConfig(config)).toThrow(florenceError("config_invalid", ...patterns));
}

/** Microsoft's base with some fields of a section changed. */
function changed(section: "vision_config" | "text_config", fields: JsonObject): Sections {
  const config = released("base");
  Object.assign(config[section], fields);
  return config;
}

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

  it.each([0, -1, 1e12, "768", 768.5, true, [768], null])("has the d_model %j (D3)", (d_model) => {
    rejects(
      changed("text_config", { d_model }),
      "config.json: text_config.d_model",
      "integer from 1 to 1048576",
    );
  });

  it.each([
    "encoder_layers",
    "decoder_ffn_dim",
    "vocab_size",
    "max_position_embeddings",
    "decoder_attention_heads",
  ])("lacks %s, or has none, or too many (D3)", (key) => {
    for (const value of [null, 0, 2 ** 31]) rejects(changed("text_config", { [key]: value }), key);
  });

  it("has heads that do not divide the width (D3)", () => {
    rejects(
      changed("text_config", { encoder_attention_heads: 7 }),
      "encoder_attention_heads",
      "7 does not divide 768",
    );
    rejects(changed("vision_config", { num_heads: [4, 8, 16, 3] }), "num_heads", "3 does not divide 1024");
  });

  it.each([
    "depths",
    "num_heads",
    "num_groups",
    "patch_size",
    "patch_stride",
    "patch_padding",
    "patch_prenorm",
  ])("has a list %s of another length (D4)", (key) => {
    const list = released("base").vision_config[key] as JsonValue[];
    rejects(changed("vision_config", { [key]: list.slice(1) }), `vision_config.${key}`, "a list of 4");
    rejects(changed("vision_config", { [key]: [...list, list[0]!] }), `vision_config.${key}`);
    rejects(changed("vision_config", { [key]: "4" }), `vision_config.${key} is "4"`);
    rejects(changed("vision_config", { [key]: null }), `vision_config.${key} is missing`);
  });

  it("has stages that are none, too many, or no multiples of four (D4)", () => {
    rejects(changed("vision_config", { dim_embed: [] }), "dim_embed");
    rejects(changed("vision_config", { dim_embed: Array(9).fill(32) }), "at most 8 stages");
    rejects(changed("vision_config", { patch_prenorm: [0, 1, 1, 1] }), "patch_prenorm", "booleans");
    rejects(
      changed("vision_config", {
        dim_embed: [128, 256, 512, 33],
        num_heads: [4, 8, 16, 33],
        num_groups: [4, 8, 16, 33],
      }),
      "num_groups",
      "multiple of four",
      "makes them 1",
    );
    rejects(changed("vision_config", { num_groups: [4, 8, 16, 4] }), "num_groups", "makes them 256");
    rejects(changed("vision_config", { mlp_ratio: 1.01 }), "mlp_ratio", "makes them 129");
    rejects(changed("text_config", { encoder_attention_heads: 768 }), "heads", "makes them 1");
    rejects(changed("text_config", { encoder_attention_heads: 1 }), "heads", "at most 128");
    rejects(changed("text_config", { decoder_attention_heads: 1 }), "heads", "at most 256");
    rejects(changed("text_config", { decoder_ffn_dim: 3070 }), "decoder_ffn_dim", "makes them 3070");
  });

  it("has a window of nothing, or groups that do not divide (D5)", () => {
    for (const window_size of [0, -12, 1.5, "12"])
      rejects(changed("vision_config", { window_size }), "window_size");
    rejects(changed("vision_config", { num_groups: [4, 8, 16, 0] }), "num_groups[3] is 0");
    rejects(
      changed("vision_config", { num_groups: [4, 8, 16, 31] }),
      "num_groups",
      "31 does not divide 1024",
    );
    rejects(changed("vision_config", { patch_stride: [0, 2, 2, 2] }), "patch_stride[0]");
    rejects(changed("vision_config", { patch_padding: [3, 1, 1, -1] }), "patch_padding[3]");
  });

  it("has a vocabulary without its special tokens (D6)", () => {
    const small = changed("text_config", { vocab_size: 2 });
    rejects(small, "text_config.eos_token_id is 2", "from 0 to 1");
    for (const pad_token_id of [-1, 51289, 1.5, "1", [1, 2]]) {
      rejects(changed("text_config", { pad_token_id }), "pad_token_id");
    }
    expect(parseConfig(changed("text_config", { eos_token_id: [2] })).tokens.eos).toEqual([2]);
    expect(parseConfig(changed("text_config", { eos_token_id: [57, 58] })).tokens.eos).toEqual([57, 58]);
    const forced = changed("text_config", { forced_eos_token_id: [57, 58] });
    expect(parseConfig(forced).tokens.forcedEos).toEqual([57, 58]);
  });

  it("decides how long texts are (D7)", () => {
    expect(
      parseConfig(changed("text_config", { max_position_embeddings: 4096 })).text.maxPositionEmbeddings,
    ).toBe(4096);
  });

  it("has wrong token ids at its top level, as the first release had (D8)", () => {
    const first = { ...released("base"), bos_token_id: 2, eos_token_id: 1, pad_token_id: 0 };
    expect(parseConfig(first).tokens).toEqual(parseConfig(released("base")).tokens);
  });

  it("goes before generation_config.json, which goes before the release (D9)", () => {
    const microsoft = { num_beams: 3, early_stopping: false };
    expect(parseConfig(released("base"), microsoft).generation.earlyStopping).toBe(true);
    const silent = changed("text_config", { early_stopping: null, num_beams: null });
    expect(parseConfig(silent, { ...microsoft, num_beams: 5 }).generation).toMatchObject({
      earlyStopping: false,
      numBeams: 5,
    });
    expect(parseConfig(silent).generation).toMatchObject({ earlyStopping: true, numBeams: 3 });
    expect(parseConfig(silent, { early_stopping: "never" }).generation.earlyStopping).toBe("never");
    expect(parseConfig(released("base"), { bos_token_id: 7 }).tokens.bos).toBe(0);
    const noIds = changed("text_config", { bos_token_id: null, decoder_start_token_id: null });
    expect(parseConfig(noIds, { bos_token_id: 7 }).tokens).toMatchObject({ bos: 7, decoderStart: 2 });
  });

  it("goes behind generation_config.json in the key names of transformers, but for token ids (D9)", () => {
    const file = { num_beams: 1, early_stopping: false, eos_token_id: 1, bos_token_id: 2 };
    const { generation, tokens } = parseConfig(converted("base"), file);
    expect(generation).toMatchObject({ numBeams: 1, earlyStopping: false, noRepeatNgramSize: 3 });
    expect(tokens).toEqual(parseConfig(converted("base")).tokens);
  });

  it("has generation settings out of bounds (D10)", () => {
    for (const num_beams of [0, -1, 1e6, 2.5, "3"])
      rejects(changed("text_config", { num_beams }), "num_beams");
    rejects(changed("text_config", { no_repeat_ngram_size: -1 }), "no_repeat_ngram_size");
    rejects(changed("text_config", { early_stopping: "always" }), "early_stopping", '"never"');
    rejects(changed("text_config", { length_penalty: "1" }), "length_penalty");
    expect(() => parseConfig(released("base"), { top_p: 2 })).toThrow("generation_config.json: top_p is 2");
    expect(() => parseConfig(released("base"), [])).toThrow("generation_config.json is []");
  });

  it("brings the generation settings that have a counterpart", () => {
    const file = { repetition_penalty: 1.05, min_length: 6, max_new_tokens: 64 };
    expect(parseConfig(released("base"), file).generation).toMatchObject({
      repetitionPenalty: 1.05,
      // min_length counts the start token.
      minNewTokens: 5,
      maxNewTokens: 64,
    });
    expect(parseConfig(released("base"), { ...file, min_new_tokens: 2 }).generation.minNewTokens).toBe(2);
  });

  it("warns of the settings that have none, by name and value", () => {
    const warnings: string[] = [];
    const neutral = { bad_words_ids: null, min_p: 0, num_beam_groups: 1, typical_p: 1 };
    parseConfig(released("base"), neutral, (message) => warnings.push(message));
    expect(warnings).toEqual([]);
    const file = { bad_words_ids: [[1]], num_beam_groups: 3 };
    const config = parseConfig(released("base"), file, (message) => warnings.push(message));
    expect(config.generation).toEqual(parseConfig(released("base")).generation);
    expect(warnings).toEqual([
      expect.stringMatching(/^generation_config\.json: bad_words_ids is \[\[1\]\]: .*not supported/),
      expect.stringMatching(/^generation_config\.json: num_beam_groups is 3: /),
    ]);
  });

  it("has generation settings that no call could have", () => {
    expect(parseConfig(released("base"), {}).generation.numBeams).toBe(3);
    for (const [key, value, bounds] of [
      ["num_beams", 33, "from 1 to 32"],
      ["length_penalty", 11, "from -10 to 10"],
      ["temperature", 2e4, "from 0.0001 to 10000"],
      ["repetition_penalty", 0, "from 0.0001 to 10000"],
    ] as const) {
      rejects(changed("text_config", { [key]: value }), `text_config.${key} is ${value}`, bounds);
    }
  });

  it("has attention that the kernels cannot compute", () => {
    expect(parseConfig(changed("vision_config", { window_size: 16 })).vision.windowSize).toBe(16);
    rejects(
      changed("vision_config", { num_heads: [1, 8, 16, 32] }),
      "num_heads",
      "at most 64",
      "makes them 128",
    );
    rejects(changed("vision_config", { num_heads: [64, 8, 16, 32] }), "num_heads", "makes them 2");
    rejects(changed("vision_config", { num_groups: [2, 8, 16, 32] }), "num_groups", "at most 32");
  });

  it("may scale embeddings, and leave the biases of attention out", () => {
    expect(parseConfig(changed("text_config", { scale_embedding: true })).text.scaleEmbedding).toBe(true);
    expect(parseConfig(changed("vision_config", { qkv_bias: false })).vision.qkvBias).toBe(false);
  });

  it("cannot cut answers by its max_length of 20 (D10)", () => {
    expect(parseConfig(changed("text_config", { max_length: 20 }))).toEqual(parseConfig(released("base")));
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

  it.each([
    ["gelu_pytorch_tanh", "geluTanh"],
    ["quick_gelu", "quickGelu"],
    ["swish", "silu"],
    ["relu", "relu"],
    [null, "gelu"],
  ])("knows activation functions by the names of transformers: %s", (activation_function, activation) => {
    expect(parseConfig(changed("text_config", { activation_function })).text.activation).toBe(activation);
    expect(parseConfig(changed("vision_config", { activation_function })).vision.activation).toBe(activation);
  });

  it.each([
    ["text_config", "activation_function", "mish"],
    ["text_config", "activation_function", "toString"],
    ["text_config", "normalize_before", true],
    ["text_config", "add_final_layer_norm", true],
    ["text_config", "add_bias_logits", true],
    ["vision_config", "activation_function", "relu6"],
    ["vision_config", "qkv_bias", 0],
    ["vision_config", "patch_prenorm", [true, true, true, true]],
    ["vision_config", "window_size", 17],
    ["vision_config", "in_channels", 4],
    ["vision_config", "projection_dim", 512],
    ["vision_config", "image_pos_embed", { type: "sine" }],
    ["vision_config", "visual_temporal_embedding", { type: "learned" }],
    ["vision_config", "image_pos_embed", 50],
    ["vision_config", "image_feature_source", ["spatial_avg_pool"]],
    ["vision_config", "image_feature_source", ["temporal_avg_pool", "temporal_avg_pool"]],
    ["vision_config", "image_feature_source", ["cls"]],
    ["vision_config", "mlp_ratio", 0],
  ] as const)("wants what this library does not do: %s.%s %j", (section, key, value) => {
    rejects(changed(section, { [key]: value as JsonValue }), `${section}.${key}`, /Expected/);
  });
});

describe("image tokens (D7)", () => {
  const base = parseConfig(released("base"));

  it("are 577 for 768 x 768 pixels, and as many as there are places on other maps", () => {
    expect(countImageTokens(base, { width: 768, height: 768 })).toBe(577);
    expect(countImageTokens(base, { width: 768, height: 384 })).toBe(1 + 24 * 12);
    expect(countImageTokens(base, { width: 224, height: 224 })).toBe(50);
    expect(countImageTokens(base, { width: 1, height: 1 })).toBe(2);
  });

  it("must leave room for a prompt, and fit the table of positions", () => {
    const short = parseConfig(changed("text_config", { max_position_embeddings: 578 }));
    expect(() => countImageTokens(short, { width: 768, height: 768 })).toThrow(
      florenceError("config_invalid", "577 tokens", "max_position_embeddings", "578"),
    );
    const fits = parseConfig(changed("text_config", { max_position_embeddings: 579 }));
    expect(countImageTokens(fits, { width: 768, height: 768 })).toBe(577);
    expect(() => countImageTokens(base, { width: 1632, height: 32 })).toThrow(
      florenceError("config_invalid", "51 x 1", "1 to 50"),
    );
    expect(() => countImageTokens(base, { width: 0, height: 768 })).toThrow(
      florenceError("config_invalid", "0 x 24"),
    );
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
