import {
  checkDivides,
  checkFours,
  field,
  integer,
  invalid,
  only,
  type Section,
  setting,
} from "../../files/fields.ts";
import { MAX_HEAD_WIDTH as MAX_CACHED_HEAD_WIDTH } from "../../kernels/cached_attention/cached_attention.ts";
import { MAX_HEAD_WIDTH as MAX_CROSS_HEAD_WIDTH } from "../../kernels/cross_attention/cross_attention.ts";
import { MAX_HEAD_WIDTH as MAX_ENCODER_HEAD_WIDTH } from "../../kernels/encoder_attention/encoder_attention.ts";
import { parseActivation } from "./activations.ts";
import type { TextConfig, TokenIds } from "./config.ts";
import { MAX_LAYERS } from "./limits.ts";

const MAX_DECODER_HEAD_WIDTH = Math.min(MAX_CACHED_HEAD_WIDTH, MAX_CROSS_HEAD_WIDTH);

/** Reads text_config. Throws config_invalid for sizes beyond the limits of the kernels. */
export function parseText(text: Section): TextConfig {
  for (const flag of ["normalize_before", "add_final_layer_norm", "add_bias_logits"]) {
    only(field(text, flag), [false]);
  }
  const size = (key: string) => integer(field(text, key));
  const layers = (key: string) => integer(field(text, key), { max: MAX_LAYERS });
  const dModel = size("d_model");
  const heads = (key: string, max: number) => {
    checkDivides(field(text, key), size(key), dModel);
    checkFours(field(text, key), dModel / size(key), max);
    return size(key);
  };
  const ffn = (key: string) => {
    checkFours(field(text, key), size(key));
    return size(key);
  };
  return {
    dModel,
    encoderLayers: layers("encoder_layers"),
    decoderLayers: layers("decoder_layers"),
    encoderAttentionHeads: heads("encoder_attention_heads", MAX_ENCODER_HEAD_WIDTH),
    decoderAttentionHeads: heads("decoder_attention_heads", MAX_DECODER_HEAD_WIDTH),
    encoderFfnDim: ffn("encoder_ffn_dim"),
    decoderFfnDim: ffn("decoder_ffn_dim"),
    vocabSize: size("vocab_size"),
    maxPositionEmbeddings: size("max_position_embeddings"),
    scaleEmbedding: only(field(text, "scale_embedding"), [true, false]) ?? false,
    activation: parseActivation(field(text, "activation_function")),
  };
}

/** Reads the ids of special tokens, each from the first section that has it. */
export function parseTokens(sections: readonly Section[], vocabSize: number): TokenIds {
  const range = { min: 0, max: vocabSize - 1 };
  /** transformers may write one id as a list. */
  const ids = (key: string, fallback: number): readonly number[] => {
    const { where, value } = setting(sections, key);
    if (!Array.isArray(value)) return [integer({ where, value }, { fallback, ...range })];
    if (value.length === 0) throw invalid({ where, value }, "one token id or more");
    return value.map((item, i) => integer({ where: `${where}[${i}]`, value: item }, range));
  };
  const id = (key: string, fallback: number) => {
    const found = ids(key, fallback);
    if (found.length > 1) throw invalid(setting(sections, key), "one token id");
    return found[0]!;
  };
  return {
    bos: id("bos_token_id", 0),
    pad: id("pad_token_id", 1),
    eos: ids("eos_token_id", 2),
    decoderStart: id("decoder_start_token_id", 2),
    forcedBos: id("forced_bos_token_id", 0),
    forcedEos: ids("forced_eos_token_id", 2),
  };
}
