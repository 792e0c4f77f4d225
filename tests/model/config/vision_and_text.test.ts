import { describe, expect, it } from "vitest";
import type { JsonValue } from "../../../files/json.ts";
import { released } from "../../../measure/generated/configurations.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { changed, rejects } from "../../support/changed_config.ts";

describe("config.json", () => {
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
