import type { Florence2Config } from "../config/config.ts";

export type Shape = readonly number[];

export const SHARED_EMBEDDING = "language_model.model.shared.weight";
/** The decoder's token table. It has values of its own where training untied it. */
export const DECODER_EMBEDDING = "language_model.model.decoder.embed_tokens.weight";
/** Never read: prompts take their rows from the shared table. */
export const ENCODER_EMBEDDING = "language_model.model.encoder.embed_tokens.weight";
export const OUTPUT_HEAD = "language_model.lm_head.weight";
export const LOGITS_BIAS = "language_model.final_logits_bias";
export const TEMPORAL_POSITIONS = "visual_temporal_embed.pos_idx_to_embed";
export const IMAGE_PROJECTION = "image_projection";

/** Copies of the token table that some files store. */
export const TABLE_COPIES = [ENCODER_EMBEDDING, DECODER_EMBEDDING, OUTPUT_HEAD];

/**
 * May be absent: the output head and the decoder's table are then the token table, the bias is zero, and the
 * positions are computed.
 */
export const OPTIONAL_TENSORS = [LOGITS_BIAS, TEMPORAL_POSITIONS, ...TABLE_COPIES];

/** Every tensor that a checkpoint of this configuration may hold, in Microsoft's names, with its shape. */
export function expectedTensors({ vision, projection, text }: Florence2Config): ReadonlyMap<string, Shape> {
  const shapes = new Map<string, Shape>();
  const linear = (name: string, outputs: number, inputs: number, hasBias = true) => {
    shapes.set(`${name}.weight`, [outputs, inputs]);
    if (hasBias) shapes.set(`${name}.bias`, [outputs]);
  };
  const convolution = (name: string, shape: Shape) => {
    shapes.set(`${name}.weight`, shape);
    shapes.set(`${name}.bias`, [shape[0]!]);
  };
  const norm = (name: string, width: number) => {
    shapes.set(`${name}.weight`, [width]);
    shapes.set(`${name}.bias`, [width]);
  };

  let inputs = vision.inChannels;
  for (const [s, C] of vision.embedDim.entries()) {
    const kernel = vision.patchSize[s]!;
    convolution(`vision_tower.convs.${s}.proj`, [C, inputs, kernel, kernel]);
    norm(`vision_tower.convs.${s}.norm`, vision.patchPrenorm[s] ? inputs : C);
    for (let j = 0; j < vision.depths[s]!; j++) {
      for (const [kind, attention] of [
        ["spatial_block", "window_attn"],
        ["channel_block", "channel_attn"],
      ]) {
        const block = `vision_tower.blocks.${s}.${j}.${kind}`;
        const hidden = Math.trunc(C * vision.mlpRatio);
        convolution(`${block}.conv1.fn.dw`, [C, 1, 3, 3]);
        norm(`${block}.${attention}.norm`, C);
        linear(`${block}.${attention}.fn.qkv`, 3 * C, C, vision.qkvBias);
        linear(`${block}.${attention}.fn.proj`, C, C);
        convolution(`${block}.conv2.fn.dw`, [C, 1, 3, 3]);
        norm(`${block}.ffn.norm`, C);
        linear(`${block}.ffn.fn.net.fc1`, hidden, C);
        linear(`${block}.ffn.fn.net.fc2`, C, hidden);
      }
    }
    inputs = C;
  }

  const C = inputs;
  const d = text.dModel;
  shapes.set(IMAGE_PROJECTION, [C, d]);
  norm("image_proj_norm", d);
  shapes.set("image_pos_embed.row_embeddings.weight", [projection.maxPositionEmbeddings, C / 2]);
  shapes.set("image_pos_embed.column_embeddings.weight", [projection.maxPositionEmbeddings, C / 2]);
  shapes.set(TEMPORAL_POSITIONS, [projection.maxTemporalEmbeddings, C]);

  const vocabulary = [text.vocabSize, d];
  shapes.set(LOGITS_BIAS, [1, text.vocabSize]);
  for (const name of [SHARED_EMBEDDING, ...TABLE_COPIES]) shapes.set(name, vocabulary);
  const stack = (side: string, layers: number, ffn: number, attentions: readonly string[]) => {
    shapes.set(`language_model.model.${side}.embed_positions.weight`, [text.maxPositionEmbeddings + 2, d]);
    norm(`language_model.model.${side}.layernorm_embedding`, d);
    for (let i = 0; i < layers; i++) {
      const layer = `language_model.model.${side}.layers.${i}`;
      for (const attention of attentions) {
        for (const part of ["k_proj", "v_proj", "q_proj", "out_proj"])
          linear(`${layer}.${attention}.${part}`, d, d);
        norm(`${layer}.${attention}_layer_norm`, d);
      }
      linear(`${layer}.fc1`, ffn, d);
      linear(`${layer}.fc2`, d, ffn);
      norm(`${layer}.final_layer_norm`, d);
    }
  };
  stack("encoder", text.encoderLayers, text.encoderFfnDim, ["self_attn"]);
  stack("decoder", text.decoderLayers, text.decoderFfnDim, ["self_attn", "encoder_attn"]);
  return shapes;
}
