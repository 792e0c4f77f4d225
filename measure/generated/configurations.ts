/** Configurations of the released models in the key names of Microsoft and of transformers; written here, from their sizes. */
import type { JsonObject } from "../../files/json.ts";

export interface Sections extends JsonObject {
  vision_config: JsonObject;
  text_config: JsonObject;
}

const SIZES = {
  base: { width: 128, heads: 4, dModel: 768, layers: 6, textHeads: 12, ffn: 3072 },
  large: { width: 256, heads: 8, dModel: 1024, layers: 12, textHeads: 16, ffn: 4096 },
};

/** config.json as Microsoft's repositories have it. A fresh object each time. */
export function released(size: keyof typeof SIZES): Sections {
  const { width, heads, dModel, layers, textHeads, ffn } = SIZES[size];
  return {
    architectures: ["Florence2ForConditionalGeneration"],
    auto_map: { AutoConfig: "configuration_florence2.Florence2Config" },
    bos_token_id: 0,
    eos_token_id: 2,
    pad_token_id: 1,
    model_type: "florence2",
    projection_dim: dModel,
    torch_dtype: "float16",
    vocab_size: 51289,
    vision_config: {
      model_type: "davit",
      dim_embed: [1, 2, 4, 8].map((factor) => factor * width),
      num_heads: [1, 2, 4, 8].map((factor) => factor * heads),
      num_groups: [1, 2, 4, 8].map((factor) => factor * heads),
      depths: [1, 1, 9, 1],
      patch_size: [7, 3, 3, 3],
      patch_stride: [4, 2, 2, 2],
      patch_padding: [3, 1, 1, 1],
      patch_prenorm: [false, true, true, true],
      window_size: 12,
      drop_path_rate: 0.1,
      projection_dim: dModel,
      visual_temporal_embedding: { type: "COSINE", max_temporal_embeddings: 100 },
      image_pos_embed: { type: "learned_abs_2d", max_pos_embeddings: 50 },
      image_feature_source: ["spatial_avg_pool", "temporal_avg_pool"],
    },
    text_config: {
      model_type: "florence2_language",
      vocab_size: 51289,
      activation_function: "gelu",
      add_bias_logits: false,
      add_final_layer_norm: false,
      normalize_before: false,
      scale_embedding: false,
      d_model: dModel,
      encoder_layers: layers,
      decoder_layers: layers,
      encoder_attention_heads: textHeads,
      decoder_attention_heads: textHeads,
      encoder_ffn_dim: ffn,
      decoder_ffn_dim: ffn,
      max_position_embeddings: 1024,
      bos_token_id: 0,
      eos_token_id: 2,
      pad_token_id: 1,
      decoder_start_token_id: 2,
      forced_bos_token_id: 0,
      forced_eos_token_id: 2,
      early_stopping: true,
      no_repeat_ngram_size: 3,
      num_beams: 3,
    },
  };
}

/** The same model as transformers writes it. */
export function converted(size: keyof typeof SIZES): Sections {
  const config = released(size);
  const { dim_embed, visual_temporal_embedding, image_pos_embed, image_feature_source, ...vision } =
    config.vision_config;
  config.vision_config = {
    ...vision,
    model_type: "florence_vision",
    embed_dim: dim_embed!,
    in_channels: 3,
    mlp_ratio: 4,
    qkv_bias: true,
    activation_function: "gelu",
    max_position_embeddings: 50,
    max_temporal_embeddings: 100,
  };
  config.text_config = { ...config.text_config, model_type: "bart", vocab_size: 51328 };
  config.image_token_id = 51289;
  return config;
}
