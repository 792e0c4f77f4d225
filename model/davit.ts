/**
 * DaViT, the dual attention vision transformer (Ding et al., 2022): four stages, each a strided
 * convolution and pairs of blocks, of which one attends between the tokens of a window and the other
 * between the channels of a group. Reference module: transformers `Florence2VisionBackbone`.
 */
import type { Recording } from "../core/recording.ts";
import { columnsOf, rowsOf, type Tensor } from "../core/tensor.ts";
import { channelScores } from "../kernels/channel_scores/channel_scores.ts";
import { conv2d } from "../kernels/conv2d/conv2d.ts";
import { depthwiseConv } from "../kernels/depthwise_conv/depthwise_conv.ts";
import { foldChannelAttention } from "../kernels/fold_channel_attention/fold_channel_attention.ts";
import { layerNorm } from "../kernels/layer_norm/layer_norm.ts";
import { convolvedSide } from "../kernels/shared/convolved_side.ts";
import type { NormWeights } from "../kernels/shared/norm.ts";
import { windowAttention } from "../kernels/window_attention/window_attention.ts";
import type { VisionConfig } from "./config/config.ts";
import { type FeedForward, feedForward, inBands, type Linear, linear } from "./layers.ts";

/** Tokens (height·width, C) of an image or a feature map, row by row. */
export interface FeatureMap {
  readonly x: Tensor;
  readonly height: number;
  readonly width: number;
}

export interface ConvEmbedWeights {
  readonly conv: Linear;
  readonly norm: NormWeights;
}

/** A spatial and a channel block have the same parts; they differ in what attends to what. */
export interface BlockWeights extends FeedForward {
  readonly conv1: Linear;
  readonly norm1: NormWeights;
  readonly qkv: Linear;
  readonly proj: Linear;
  readonly conv2: Linear;
  readonly norm2: NormWeights;
}

export interface StageWeights {
  readonly embed: ConvEmbedWeights;
  readonly blocks: readonly { readonly spatial: BlockWeights; readonly channel: BlockWeights }[];
}

/**
 * From pixels to the last stage's feature map: (H·W, 4) → (h·w, C).
 *
 * @param pixels normalised, padded with zeros to as many channels as the first filters have
 */
export function visionTower(
  rec: Recording,
  stages: readonly StageWeights[],
  pixels: FeatureMap,
  config: VisionConfig,
): FeatureMap {
  let map = pixels;
  for (const [s, stage] of stages.entries()) {
    map = rec.scope(`vision.stage${s}`, () => {
      map = convEmbed(rec, stage.embed, map, config, s);
      rec.tap(`vision.stage${s}.embed`, map.x);
      for (const [j, block] of stage.blocks.entries()) {
        map = spatialBlock(rec, block.spatial, map, config, s);
        rec.tap(`vision.stage${s}.block${j}.spatial`, map.x);
        map = channelBlock(rec, block.channel, map, config, s);
        rec.tap(`vision.stage${s}.block${j}.channel`, map.x);
      }
      return map;
    });
  }
  return map;
}

/**
 * Convolutional embedding: (H·W, Cin) → (H'·W', Cout), shorter by the stage's stride. `patchPrenorm` says whether
 * a stage normalises the input of its convolution or the output. Reference module: `Florence2VisionConvEmbed`.
 */
function convEmbed(
  rec: Recording,
  { conv, norm }: ConvEmbedWeights,
  { x, height, width }: FeatureMap,
  config: VisionConfig,
  stage: number,
): FeatureMap {
  const [kernel, stride, padding] = [config.patchSize, config.patchStride, config.patchPadding].map(
    (of) => of[stage]!,
  );
  const prenorm = config.patchPrenorm[stage]!;
  const filter = { kernel: kernel!, stride: stride!, padding: padding! };
  const y = conv2d(rec, prenorm ? { rows: x, norm } : x, conv, { height, width, ...filter });
  return {
    x: prenorm ? y : layerNorm(rec, { rows: y, norm }),
    height: convolvedSide(height, filter),
    width: convolvedSide(width, filter),
  };
}

/**
 * Window attention and a feed-forward layer, each after a depthwise convolution that encodes positions (section 3.2
 * of the paper): x + conv(x), x + proj(attention(norm(x))), x + conv(x), x + ffn(norm(x)).
 * Reference module: `Florence2VisionSpatialBlock`.
 */
function spatialBlock(rec: Recording, w: BlockWeights, map: FeatureMap, config: VisionConfig, stage: number) {
  let x = depthwiseConv(rec, map.x, w.conv1, map);
  const y = windowAttend(rec, w, { ...map, x }, config.numHeads[stage]!, config.windowSize);
  x = linear(rec, y, w.proj, { residual: x });
  x = depthwiseConv(rec, x, w.conv2, map);
  return { ...map, x: feedForward(rec, { rows: x, norm: w.norm2 }, w, x, config.activation) };
}

/**
 * The same with attention between the channels of each group instead of between tokens (section 3.1): scores of
 * channels with channels, which are folded into the output projection. Reference module:
 * `Florence2VisionChannelBlock`.
 */
function channelBlock(rec: Recording, w: BlockWeights, map: FeatureMap, config: VisionConfig, stage: number) {
  let x = depthwiseConv(rec, map.x, w.conv1, map);
  const normed = { rows: x, norm: w.norm1 };
  const scores = channelScores(rec, normed, w.qkv, config.numGroups[stage]!);
  x = linear(rec, normed, foldChannelAttention(rec, scores, w, rowsOf(x)), { residual: x });
  x = depthwiseConv(rec, x, w.conv2, map);
  return { ...map, x: feedForward(rec, { rows: x, norm: w.norm2 }, w, x, config.activation) };
}

/** Attention between the tokens of each window; whole rows of windows at a time where memory is short. */
function windowAttend(
  rec: Recording,
  { qkv, norm1 }: BlockWeights,
  { x, width }: FeatureMap,
  heads: number,
  window: number,
): Tensor {
  return inBands(rec, x, { columns: 3 * columnsOf(x), multiple: window * width }, (band, out) => {
    const height = rowsOf(band) / width;
    const qkvRows = linear(rec, { rows: band, norm: norm1 }, qkv);
    windowAttention(rec, qkvRows, qkv.bias, { height, width, heads, window, out });
  });
}
