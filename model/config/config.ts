import type { Section } from "../../files/fields.ts";
import { type Field, field, first, integer, invalid, only, section, subsection } from "../../files/fields.ts";
import type { JsonValue } from "../../files/json.ts";
import type { Activation } from "../../kernels/shared/activation.ts";
import { type GenerationDefaults, parseGeneration } from "./generation.ts";
import { parseText, parseTokens } from "./text.ts";
import { parseVision } from "./vision.ts";

/** The contents of config.json and generation_config.json, checked. Lists have one value per stage. */
export interface Florence2Config {
  readonly vision: VisionConfig;
  readonly projection: ProjectionConfig;
  readonly text: TextConfig;
  readonly tokens: TokenIds;
  readonly generation: GenerationDefaults;
}

/** DaViT. */
export interface VisionConfig {
  readonly inChannels: number;
  readonly embedDim: readonly number[];
  /** Pairs of a spatial and a channel block. */
  readonly depths: readonly number[];
  /** Heads of window attention. */
  readonly numHeads: readonly number[];
  /** Groups of channel attention. */
  readonly numGroups: readonly number[];
  readonly patchSize: readonly number[];
  readonly patchStride: readonly number[];
  readonly patchPadding: readonly number[];
  /** Whether a stage normalises before its convolution instead of after it. */
  readonly patchPrenorm: readonly boolean[];
  readonly windowSize: number;
  /** Width of a block's feed-forward layer, per channel. */
  readonly mlpRatio: number;
  /** Whether the projections of both attentions to q, k and v have a bias. */
  readonly qkvBias: boolean;
  /** Of the feed-forward layers. */
  readonly activation: Activation;
}

export interface ProjectionConfig {
  /** Width of the projected tokens; equals the text model's. */
  readonly dim: number;
  /** The largest feature map, in rows and in columns. */
  readonly maxPositionEmbeddings: number;
  /** Frames. */
  readonly maxTemporalEmbeddings: number;
  /** In the order in which the encoder reads them. */
  readonly imageFeatureSource: readonly ImageFeatureSource[];
}

export type ImageFeatureSource = "spatial_avg_pool" | "temporal_avg_pool" | "last_frame";

/** BART, which normalises after each residual connection. */
export interface TextConfig {
  readonly dModel: number;
  readonly encoderLayers: number;
  readonly decoderLayers: number;
  readonly encoderAttentionHeads: number;
  readonly decoderAttentionHeads: number;
  readonly encoderFfnDim: number;
  readonly decoderFfnDim: number;
  /** Rows of the token table; the last ones may be padding that no token uses. */
  readonly vocabSize: number;
  /** Tokens; the position table has two rows more. */
  readonly maxPositionEmbeddings: number;
  /** Whether rows of the token table are multiplied by √d when they are read as input. */
  readonly scaleEmbedding: boolean;
  /** Of the feed-forward layers. */
  readonly activation: Activation;
}

export interface TokenIds {
  readonly bos: number;
  readonly pad: number;
  /** Any of them ends an answer. */
  readonly eos: readonly number[];
  readonly decoderStart: number;
  readonly forcedBos: number;
  /** Of which an answer that is cut has one as its last. */
  readonly forcedEos: readonly number[];
}

/**
 * Reads config.json as Microsoft's repositories write it or as transformers does; the key names of both
 * may stand side by side, and must then agree.
 *
 * Token ids come from text_config; where it is silent (or null), from generation_config.json; where that is
 * silent too, they are 0, 1, 2 as in the release. The ids at the top level of config.json are not read: the
 * first release, and what was fine-tuned from it, had them wrong.
 *
 * Generation settings: in Microsoft's code text_config goes before generation_config.json (so its
 * early_stopping true before the other's false), in transformers it is the other way round. Where both are
 * silent, the release decides: 3 beams, early stopping, no repeated 3-grams. max_length (20 in every release)
 * is not read: it would cut every answer.
 *
 * Unknown keys are ignored and auto_map is never followed.
 *
 * @param warn receives a message for each generation setting that this library does not implement
 * @throws {Florence2Error} config_invalid for an architecture or a size that this library cannot compute, with file,
 *   field, found and expected
 */
export function parseConfig(
  configJson: JsonValue,
  generationConfigJson: JsonValue = {},
  warn: (message: string) => void = () => {},
): Florence2Config {
  const config = section("config.json", "", configJson);
  only(field(config, "model_type"), ["florence2"]);
  const vision = section("config.json", "vision_config.", config.values.vision_config);
  const text = section("config.json", "text_config.", config.values.text_config);
  const generation = section("generation_config.json", "", generationConfigJson);
  const textConfig = parseText(text);
  const isByTransformers = field(vision, "embed_dim").value !== undefined;
  return {
    vision: parseVision(vision),
    projection: parseProjection(config, vision, textConfig.dModel),
    text: textConfig,
    tokens: parseTokens([text, generation], textConfig.vocabSize),
    generation: parseGeneration(isByTransformers ? [generation, text] : [text, generation], warn),
  };
}

const DEFAULT_IMAGE_FEATURES: readonly ImageFeatureSource[] = ["spatial_avg_pool", "temporal_avg_pool"];

function parseProjection(config: Section, vision: Section, dModel: number): ProjectionConfig {
  const positions = subsection(vision, "image_pos_embed");
  const frames = subsection(vision, "visual_temporal_embedding");
  only(field(positions, "type"), ["learned_abs_2d"]);
  only(field(frames, "type"), ["COSINE"]);
  const dim = field(field(vision, "projection_dim").value === undefined ? config : vision, "projection_dim");
  only(dim, [dModel]);
  return {
    dim: integer(dim),
    maxPositionEmbeddings: integer(
      first(field(vision, "max_position_embeddings"), field(positions, "max_pos_embeddings")),
      { fallback: 50 },
    ),
    maxTemporalEmbeddings: integer(
      first(field(vision, "max_temporal_embeddings"), field(frames, "max_temporal_embeddings")),
      { fallback: 100 },
    ),
    imageFeatureSource: parseImageFeatures(field(vision, "image_feature_source")),
  };
}

function parseImageFeatures({ where, value }: Field): readonly ImageFeatureSource[] {
  if (value === undefined) return DEFAULT_IMAGE_FEATURES;
  const known: readonly JsonValue[] = ["spatial_avg_pool", "temporal_avg_pool", "last_frame"];
  const valid =
    Array.isArray(value) &&
    value.every((source, i) => known.includes(source) && value.indexOf(source) === i) &&
    value.some((source) => source !== "spatial_avg_pool");
  if (valid) return value as ImageFeatureSource[];
  throw invalid({ where, value }, `different ones of ${known.join(", ")}, and not the first alone`);
}
