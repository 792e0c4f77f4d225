/**
 * BART (Lewis et al., 2019) as Florence-2 uses it: post-norm layers, learned positions, one
 * embedding table for words, locations and the output head. Reference module: transformers `BartModel`.
 *
 * Shape letters: I image tokens, S source tokens (image and prompt), R decoder rows (one for each
 * image and beam), T decoding steps that the caches hold, V vocabulary, d model width.
 */
import type { Recording } from "../core/recording.ts";
import {
  BYTES_PER_ELEMENT,
  columnsOf,
  reshape,
  rowAlignment,
  rows,
  rowsOf,
  type Tensor,
} from "../core/tensor.ts";
import { addRows } from "../kernels/add_rows/add_rows.ts";
import { cachedAttention } from "../kernels/cached_attention/cached_attention.ts";
import { crossAttention } from "../kernels/cross_attention/cross_attention.ts";
import { embedTokens } from "../kernels/embed_tokens/embed_tokens.ts";
import { encoderAttention } from "../kernels/encoder_attention/encoder_attention.ts";
import { layerNorm } from "../kernels/layer_norm/layer_norm.ts";
import { matmul } from "../kernels/matmul/matmul.ts";
import type { Normed, NormWeights } from "../kernels/shared/norm.ts";
import type { TextConfig } from "./config/config.ts";
import { type FeedForward, feedForward, type Linear, linear } from "./layers.ts";

/** BART's position tables begin with two rows that are never used. */
const POSITION_OFFSET = 2;

export interface EncoderLayerWeights extends FeedForward {
  /** q, k and v stacked: (3d, d). */
  readonly qkv: Linear;
  readonly out: Linear;
  readonly selfAttentionNorm: NormWeights;
  readonly finalNorm: NormWeights;
}

export interface DecoderLayerWeights extends EncoderLayerWeights {
  readonly crossQuery: Linear;
  readonly crossOut: Linear;
  readonly crossAttentionNorm: NormWeights;
}

export interface TextWeights {
  /** (V, d): the encoder's token table unless the checkpoint trained it apart, or scales that table. */
  readonly head: Tensor;
  /** (V); absent where the checkpoint has none. */
  readonly headBias: Tensor | undefined;
  readonly encoder: Coder<EncoderLayerWeights>;
  readonly decoder: Coder<DecoderLayerWeights> & {
    /** k and v of each layer's cross-attention, stacked: (layers * 2d, d). */
    readonly crossKeysValues: Linear;
  };
}

interface Coder<Layer> {
  /** (V, d), for input: words, special tokens and locations. Usually one tensor for encoder and decoder. */
  readonly embeddings: Tensor;
  /** (positions + 2, d). */
  readonly positions: Tensor;
  readonly embeddingNorm: NormWeights;
  readonly layers: readonly Layer[];
}

/**
 * Encodes image tokens (I, d) followed by a prompt of u32 ids (n): (S, d) with S = I + n. BART normalises
 * after each part; here every product that reads such rows does it on the way, and no normalised copy exists.
 */
export function encode(
  rec: Recording,
  w: TextWeights,
  image: Tensor,
  prompt: Tensor,
  /** u32 (1) holding 0: positions count from the first image token. */
  start: Tensor,
  config: TextConfig,
): Normed {
  const [I, d] = [rowsOf(image), columnsOf(image)];
  const { embeddings, positions, embeddingNorm, layers } = w.encoder;
  const embedded = rec.temp([I + prompt.shape[0]!, d]);
  addRows(rec, image, positions, POSITION_OFFSET, embedded);
  embedTokens(rec, prompt, embeddings, positions, start, {
    firstPosition: POSITION_OFFSET + I,
    advance: 1,
    out: embedded,
    outRow: I,
  });
  let h: Normed = { rows: embedded, norm: embeddingNorm };
  rec.tap("encoder.embed", () => layerNorm(rec, h));
  for (const [i, layer] of layers.entries()) {
    h = rec.scope(`encoder.layer${i}`, () => encoderLayer(rec, layer, h, config));
    rec.tap(`encoder.layer${i}`, () => layerNorm(rec, h));
  }
  return h;
}

/**
 * norm(x + attention(x)), then norm(x + ffn(x)): (S, d) → (S, d). Reference module: `BartEncoderLayer`.
 */
function encoderLayer(rec: Recording, w: EncoderLayerWeights, h: Normed, config: TextConfig): Normed {
  const attended = encoderAttention(rec, linear(rec, h, w.qkv), config.encoderAttentionHeads);
  h = { rows: linear(rec, attended, w.out, { residual: h }), norm: w.selfAttentionNorm };
  return { rows: feedForward(rec, h, w, h, config.activation), norm: w.finalNorm };
}

/**
 * What every decoding step reads of an image and its prompt, computed once: the keys and values of all layers,
 * into rows of `out` (layers, images * S, 2d) from row `firstRow` on.
 */
export function crossKeysValues(
  rec: Recording,
  { decoder: { crossKeysValues } }: TextWeights,
  encoded: Normed,
  out: Tensor,
  firstRow: number,
): void {
  const { weight, bias } = crossKeysValues;
  const columns = columnsOf(out);
  for (const { from, to, tensor } of rec.bands(out, undefined, rowAlignment(columns * BYTES_PER_ELEMENT))) {
    const part = {
      weight: rows(weight, from * columns, to * columns),
      bias: rows(bias, from * columns, to * columns),
    };
    linear(rec, encoded, part, { out: tensor, outRow: firstRow });
  }
}

/** Everything a decoding step reads and writes besides the weights. All owned: they outlive the step. */
export interface DecoderState {
  /** u32 (R): the newest token of each row. */
  readonly tokens: Tensor;
  /** u32 (1): how many steps came before. */
  readonly position: Tensor;
  /** u32 (R, T): the row that computed the keys and values of each step in this row's history. */
  readonly ancestry: Tensor;
  /** u32 (images): source tokens that are real. */
  readonly lengths: Tensor;
  readonly layers: readonly {
    /** (T, R, d) each. */
    readonly keys: Tensor;
    readonly values: Tensor;
    /** (images, S, 2d). */
    readonly cross: Tensor;
  }[];
}

/** One step for all rows: logits (R, V) of the next token. */
export function decodeStep(rec: Recording, w: TextWeights, state: DecoderState, config: TextConfig): Tensor {
  const { embeddings, positions, embeddingNorm, layers } = w.decoder;
  const embedded = embedTokens(rec, state.tokens, embeddings, positions, state.position, {
    firstPosition: POSITION_OFFSET,
    advance: 0,
  });
  let h: Normed = { rows: embedded, norm: embeddingNorm };
  rec.tap("decoder.embed", () => layerNorm(rec, h));
  for (const [i, layer] of layers.entries()) {
    h = rec.scope(`decoder.layer${i}`, () => decoderLayer(rec, layer, h, state, i, config));
    rec.tap(`decoder.layer${i}`, () => layerNorm(rec, h));
  }
  return rec.tap(
    "logits",
    rec.scope("head", () => languageHead(rec, w, h)),
  );
}

/**
 * norm(x + selfAttention(x)), norm(x + crossAttention(x)), norm(x + ffn(x)): (R, d) → (R, d). Reference module:
 * `BartDecoderLayer`.
 */
function decoderLayer(
  rec: Recording,
  w: DecoderLayerWeights,
  h: Normed,
  { position, ancestry, lengths, layers }: DecoderState,
  index: number,
  config: TextConfig,
): Normed {
  const heads = config.decoderAttentionHeads;
  const { keys, values, cross } = layers[index]!;
  const attended = cachedAttention(rec, linear(rec, h, w.qkv), keys, values, ancestry, position, heads);
  h = { rows: linear(rec, attended, w.out, { residual: h }), norm: w.selfAttentionNorm };
  const crossed = crossAttention(rec, h, w.crossQuery, cross, lengths, heads);
  h = { rows: linear(rec, crossed, w.crossOut, { residual: h }), norm: w.crossAttentionNorm };
  return { rows: feedForward(rec, h, w, h, config.activation), norm: w.finalNorm };
}

/** h·Wᵀ + bias, in slices of the vocabulary: in f32 the whole table outgrows a portable binding. */
function languageHead(rec: Recording, { head, headBias }: TextWeights, h: Normed): Tensor {
  const logits = rec.temp([rowsOf(h.rows), head.shape[0]!]);
  // 64 biases begin where a binding may.
  for (const { from, to, tensor } of rec.bands(head, undefined, 64)) {
    const bias = headBias && rows(reshape(headBias, [head.shape[0]!]), from, to);
    matmul(rec, h, tensor, { ...(bias && { bias }), out: logits, outColumn: from });
  }
  return logits;
}
