import { Florence2Error } from "../../core/errors.ts";
import {
  channels,
  checkDivides,
  checkFours,
  type Field,
  field,
  first,
  flags,
  integer,
  integers,
  invalid,
  number,
  only,
  type Section,
  section,
  setting,
  subsection,
} from "../../files/fields.ts";
import type { JsonValue } from "../../files/json.ts";

/** What config.json and generation_config.json say about a model, checked. Lists have one value per stage. */
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
}

export interface TokenIds {
  readonly bos: number;
  readonly pad: number;
  readonly eos: number;
  readonly decoderStart: number;
  readonly forcedBos: number;
  readonly forcedEos: number;
}

export interface GenerationDefaults {
  readonly numBeams: number;
  readonly earlyStopping: boolean | "never";
  /** 0: repeats are allowed. */
  readonly noRepeatNgramSize: number;
  readonly lengthPenalty: number;
  readonly doSample: boolean;
  readonly temperature: number;
  /** 0: all tokens. */
  readonly topK: number;
  readonly topP: number;
}

/** What preprocessor_config.json says about pictures. */
export interface ImageConfig {
  /** Pixels; pictures are stretched to this size (bicubic). */
  readonly width: number;
  readonly height: number;
  readonly rescaleFactor: number;
  /** Red, green, blue. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

const MAX_LAYERS = 1000;
const MAX_STAGES = 8;
const MAX_BEAMS = 64;
/** Channels that the kernels of channel attention, and of the text model's attention, hold at a time. */
const MAX_GROUP_WIDTH = 32;
const MAX_HEAD_WIDTH = 128;
const DEFAULT_IMAGE_FEATURES: readonly ImageFeatureSource[] = ["spatial_avg_pool", "temporal_avg_pool"];

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
 * Unknown keys are ignored and auto_map is never followed. A known key with a value that this library
 * does not implement is an error. Throws config_invalid, naming file, field, found and expected.
 */
export function parseConfig(configJson: JsonValue, generationConfigJson: JsonValue = {}): Florence2Config {
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
    generation: parseGeneration(isByTransformers ? [generation, text] : [text, generation]),
  };
}

function parseVision(vision: Section): VisionConfig {
  only(field(vision, "activation_function"), ["gelu"]);
  only(field(vision, "qkv_bias"), [true]);
  const embedDim = integers(field(vision, "embed_dim", "dim_embed"));
  const stages = embedDim.length;
  if (stages > MAX_STAGES)
    throw invalid(field(vision, "embed_dim", "dim_embed"), `at most ${MAX_STAGES} stages`);
  const numHeads = integers(field(vision, "num_heads"), stages);
  const numGroups = integers(field(vision, "num_groups"), stages);
  const mlpRatio = number(field(vision, "mlp_ratio"), { fallback: 4, least: 1, most: 64 });
  for (const [stage, width] of embedDim.entries()) {
    checkDivides(field(vision, "num_heads"), numHeads[stage]!, width);
    checkDivides(field(vision, "num_groups"), numGroups[stage]!, width);
    checkFours(field(vision, "num_groups"), width / numGroups[stage]!, MAX_GROUP_WIDTH);
    checkFours(field(vision, "mlp_ratio"), Math.trunc(width * mlpRatio));
  }
  return {
    inChannels: only(field(vision, "in_channels"), [3]) ?? 3,
    embedDim,
    depths: integers(field(vision, "depths"), stages, { most: MAX_LAYERS }),
    numHeads,
    numGroups,
    patchSize: integers(field(vision, "patch_size"), stages),
    patchStride: integers(field(vision, "patch_stride"), stages),
    patchPadding: integers(field(vision, "patch_padding"), stages, { least: 0 }),
    patchPrenorm: flags(field(vision, "patch_prenorm"), stages),
    windowSize: integer(field(vision, "window_size")),
    mlpRatio,
  };
}

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

function parseText(text: Section): TextConfig {
  only(field(text, "activation_function"), ["gelu"]);
  for (const flag of ["scale_embedding", "normalize_before", "add_final_layer_norm", "add_bias_logits"]) {
    only(field(text, flag), [false]);
  }
  const size = (key: string) => integer(field(text, key));
  const layers = (key: string) => integer(field(text, key), { most: MAX_LAYERS });
  const dModel = size("d_model");
  const heads = (key: string) => {
    checkDivides(field(text, key), size(key), dModel);
    checkFours(field(text, key), dModel / size(key), MAX_HEAD_WIDTH);
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
    encoderAttentionHeads: heads("encoder_attention_heads"),
    decoderAttentionHeads: heads("decoder_attention_heads"),
    encoderFfnDim: ffn("encoder_ffn_dim"),
    decoderFfnDim: ffn("decoder_ffn_dim"),
    vocabSize: size("vocab_size"),
    maxPositionEmbeddings: size("max_position_embeddings"),
  };
}

function parseTokens(sections: readonly Section[], vocabSize: number): TokenIds {
  const id = (key: string, fallback: number) => {
    const found = setting(sections, key);
    // transformers may write a list of ids that end a text.
    const value = Array.isArray(found.value) && found.value.length === 1 ? found.value[0] : found.value;
    return integer({ ...found, value }, { fallback, least: 0, most: vocabSize - 1 });
  };
  return {
    bos: id("bos_token_id", 0),
    pad: id("pad_token_id", 1),
    eos: id("eos_token_id", 2),
    decoderStart: id("decoder_start_token_id", 2),
    forcedBos: id("forced_bos_token_id", 0),
    forcedEos: id("forced_eos_token_id", 2),
  };
}

/** Settings of transformers' generation that this library lacks, with the values that make them no difference. */
const NEUTRAL_SETTINGS: readonly (readonly [string, JsonValue])[] = [
  ["bad_words_ids", null],
  ["begin_suppress_tokens", null],
  ["diversity_penalty", 0],
  ["encoder_no_repeat_ngram_size", 0],
  ["encoder_repetition_penalty", 1],
  ["exponential_decay_length_penalty", null],
  ["min_length", 0],
  ["min_new_tokens", 0],
  ["num_beam_groups", 1],
  ["repetition_penalty", 1],
  ["sequence_bias", null],
  ["suppress_tokens", null],
  ["typical_p", 1],
];

function parseGeneration(sections: readonly Section[]): GenerationDefaults {
  const named = (key: string) => setting(sections, key);
  for (const [key, neutral] of NEUTRAL_SETTINGS) only(named(key), [neutral]);
  return {
    numBeams: integer(named("num_beams"), { fallback: 3, most: MAX_BEAMS }),
    earlyStopping: only(named("early_stopping"), [true, false, "never"]) ?? true,
    noRepeatNgramSize: integer(named("no_repeat_ngram_size"), { fallback: 3, least: 0 }),
    lengthPenalty: number(named("length_penalty"), { fallback: 1, least: -100, most: 100 }),
    doSample: only(named("do_sample"), [true, false]) ?? false,
    temperature: number(named("temperature"), { fallback: 1, least: 1e-3, most: 1e3 }),
    topK: integer(named("top_k"), { fallback: 50, least: 0 }),
    topP: number(named("top_p"), { fallback: 1, least: 0, most: 1 }),
  };
}

/**
 * Reads preprocessor_config.json. What is absent has the value of the release. Resampling other than bicubic
 * and sizes other than a fixed width and height are errors. The task prompts that transformers' files
 * carry are not read: they are part of this library. Throws config_invalid.
 */
export function parsePreprocessorConfig(json: JsonValue): ImageConfig {
  const config = section("preprocessor_config.json", "", json);
  const size = subsection(config, "size");
  for (const step of ["do_resize", "do_rescale", "do_normalize"]) only(field(config, step), [true]);
  only(field(config, "do_center_crop"), [false]);
  only(field(config, "resample"), [3]);
  const present = config.values.size !== undefined;
  const side = (key: string) => integer(field(size, key), present ? {} : { fallback: 768 });
  const rescale = field(config, "rescale_factor");
  // Here null is no default: transformers would fail on it.
  if (config.values.rescale_factor === null) throw invalid({ ...rescale, value: null }, "a number");
  return {
    width: side("width"),
    height: side("height"),
    rescaleFactor: number(rescale, { fallback: 1 / 255, least: 1e-6, most: 1 }),
    mean: channels(field(config, "image_mean"), [0.485, 0.456, 0.406], -1),
    std: channels(field(config, "image_std"), [0.229, 0.224, 0.225], 1e-6),
  };
}

/**
 * How many tokens a picture becomes: 577 for 768 x 768 pixels. Throws config_invalid if its feature map has
 * more rows or columns than there are positions, or if its tokens leave no room for a prompt.
 */
export function countImageTokens(config: Florence2Config, image: { width: number; height: number }): number {
  const { vision, projection, text } = config;
  const mapSide = (side: number) =>
    vision.patchSize.reduce(
      (map, size, s) => Math.floor((map + 2 * vision.patchPadding[s]! - size) / vision.patchStride[s]!) + 1,
      side,
    );
  const [columns, rows] = [mapSide(image.width), mapSide(image.height)];
  const most = projection.maxPositionEmbeddings;
  const shown = `A picture of ${image.width} x ${image.height} pixels`;
  if (columns < 1 || rows < 1 || columns > most || rows > most) {
    throw new Florence2Error(
      "config_invalid",
      `${shown} becomes a feature map of ${columns} x ${rows}; config.json allows 1 to ${most} each way.`,
      { expected: most, found: [columns, rows] },
    );
  }
  const tokens = projection.imageFeatureSource
    .map((source) => (source === "spatial_avg_pool" ? 1 : columns * rows))
    .reduce((sum, count) => sum + count);
  // The shortest prompt is its first and last token.
  if (tokens + 2 > text.maxPositionEmbeddings) {
    throw new Florence2Error(
      "config_invalid",
      `${shown} becomes ${tokens} tokens, and a prompt has at least 2; ` +
        `text_config.max_position_embeddings of config.json allows ${text.maxPositionEmbeddings}.`,
      { expected: text.maxPositionEmbeddings, found: tokens },
    );
  }
  return tokens;
}
