import type { DecoderLayerWeights, EncoderLayerWeights, TextWeights } from "../bart.ts";
import type { Florence2Config } from "../config/config.ts";
import type { BlockWeights, StageWeights } from "../davit.ts";
import type { ProjectorWeights } from "../projector.ts";
import type { FlorenceCheckpoint } from "./checkpoint.ts";
import {
  DECODER_EMBEDDING,
  IMAGE_PROJECTION,
  LOGITS_BIAS,
  OUTPUT_HEAD,
  SHARED_EMBEDDING,
  TEMPORAL_POSITIONS,
} from "./expected_tensors.ts";
import { Loader, type UploadOptions, type WeightTarget } from "./loader.ts";

/** All weights of a model on one device. */
export interface Weights {
  readonly vision: readonly StageWeights[];
  readonly projector: ProjectorWeights;
  readonly text: TextWeights;
}

/**
 * Uploads a checkpoint, tensor by tensor in pieces, under the checkpoint's own names. Attention's
 * q, k and v are stacked, so that one matrix product makes all three; so are the k and v of all decoder
 * layers' cross-attention. Matrices, which are nearly all there is, may be held in half precision; norms, biases,
 * filters of one channel and positions are always f32.
 */
export async function loadWeights(
  checkpoint: FlorenceCheckpoint,
  config: Florence2Config,
  runner: WeightTarget,
  options: UploadOptions = {},
): Promise<Weights> {
  const load = new Loader(checkpoint, runner, options);
  const vision: StageWeights[] = [];
  for (const [s, depth] of config.vision.depths.entries()) vision.push(await stage(load, s, depth));
  const weights = { vision, projector: await projector(load), text: await text(load, config) };
  await load.settle();
  return weights;
}

async function stage(load: Loader, s: number, depth: number): Promise<StageWeights> {
  const embed = {
    conv: await load.filters(`vision_tower.convs.${s}.proj`),
    norm: await load.linear(`vision_tower.convs.${s}.norm`),
  };
  const blocks: { spatial: BlockWeights; channel: BlockWeights }[] = [];
  for (let j = 0; j < depth; j++) {
    const prefix = `vision_tower.blocks.${s}.${j}`;
    blocks.push({
      spatial: await visionBlock(load, `${prefix}.spatial_block`, "window_attn"),
      channel: await visionBlock(load, `${prefix}.channel_block`, "channel_attn"),
    });
  }
  return { embed, blocks };
}

async function visionBlock(load: Loader, prefix: string, attention: string): Promise<BlockWeights> {
  return all({
    conv1: load.linear(`${prefix}.conv1.fn.dw`),
    norm1: load.linear(`${prefix}.${attention}.norm`),
    qkv: load.linear(`${prefix}.${attention}.fn.qkv`),
    proj: load.linear(`${prefix}.${attention}.fn.proj`),
    conv2: load.linear(`${prefix}.conv2.fn.dw`),
    norm2: load.linear(`${prefix}.ffn.norm`),
    fc1: load.linear(`${prefix}.ffn.fn.net.fc1`),
    fc2: load.linear(`${prefix}.ffn.fn.net.fc2`),
  });
}

async function projector(load: Loader): Promise<ProjectorWeights> {
  return {
    projection: await load.transposed(IMAGE_PROJECTION),
    norm: await load.linear("image_proj_norm"),
    rowEmbeddings: await load.tensor("image_pos_embed.row_embeddings.weight"),
    columnEmbeddings: await load.tensor("image_pos_embed.column_embeddings.weight"),
    temporal: await load.firstRow(TEMPORAL_POSITIONS),
  };
}

async function text(load: Loader, config: Florence2Config): Promise<TextWeights> {
  const prefix = "language_model.model";
  const { dModel, scaleEmbedding } = config.text;
  const shared = await load.matrix(SHARED_EMBEDDING);
  const copyOf = async (name: string) => !load.has(name) || load.isCopy(name, SHARED_EMBEDDING);
  const head = (await copyOf(OUTPUT_HEAD)) ? shared : await load.matrix(OUTPUT_HEAD);
  const isShared = await copyOf(DECODER_EMBEDDING);
  // The head reads the table as it is.
  const input = (name: string) => load.scaled(name, Math.sqrt(dModel));
  const embeddings = scaleEmbedding ? await input(SHARED_EMBEDDING) : shared;
  const decoderEmbeddings = isShared
    ? embeddings
    : await (scaleEmbedding ? input(DECODER_EMBEDDING) : load.matrix(DECODER_EMBEDDING));
  const headBias = load.has(LOGITS_BIAS) ? await load.tensor(LOGITS_BIAS) : undefined;
  const encoderLayers: EncoderLayerWeights[] = [];
  for (let i = 0; i < config.text.encoderLayers; i++) {
    encoderLayers.push(await encoderLayer(load, `${prefix}.encoder.layers.${i}`));
  }
  const decoderLayers: DecoderLayerWeights[] = [];
  for (let i = 0; i < config.text.decoderLayers; i++) {
    decoderLayers.push(await decoderLayer(load, `${prefix}.decoder.layers.${i}`));
  }
  const coder = async <Layer>(name: string, layers: readonly Layer[]) => ({
    positions: await load.tensor(`${prefix}.${name}.embed_positions.weight`),
    embeddingNorm: await load.linear(`${prefix}.${name}.layernorm_embedding`),
    layers,
  });
  return {
    head,
    headBias,
    encoder: { embeddings, ...(await coder("encoder", encoderLayers)) },
    decoder: {
      embeddings: decoderEmbeddings,
      ...(await coder("decoder", decoderLayers)),
      crossKeysValues: await load.stacked(
        `${prefix}.decoder.layers`,
        decoderLayers.flatMap((_, i) => ["k_proj", "v_proj"].map((part) => `${i}.encoder_attn.${part}`)),
      ),
    },
  };
}

async function encoderLayer(load: Loader, prefix: string): Promise<EncoderLayerWeights> {
  return all({
    qkv: load.stacked(`${prefix}.self_attn`, ["q_proj", "k_proj", "v_proj"]),
    out: load.linear(`${prefix}.self_attn.out_proj`),
    selfAttentionNorm: load.linear(`${prefix}.self_attn_layer_norm`),
    fc1: load.linear(`${prefix}.fc1`),
    fc2: load.linear(`${prefix}.fc2`),
    finalNorm: load.linear(`${prefix}.final_layer_norm`),
  });
}

async function decoderLayer(load: Loader, prefix: string): Promise<DecoderLayerWeights> {
  return {
    ...(await encoderLayer(load, prefix)),
    ...(await all({
      crossQuery: load.linear(`${prefix}.encoder_attn.q_proj`),
      crossOut: load.linear(`${prefix}.encoder_attn.out_proj`),
      crossAttentionNorm: load.linear(`${prefix}.encoder_attn_layer_norm`),
    })),
  };
}

/** The parts of a layer at once: while one is written to the device, others are read. */
async function all<Layer extends object>(
  parts: {
    readonly [Part in keyof Layer]: Promise<Layer[Part]>;
  },
): Promise<Layer> {
  const values = await Promise.all(Object.values<Promise<unknown>>(parts));
  return Object.fromEntries(Object.keys(parts).map((name, i) => [name, values[i]])) as Layer;
}
