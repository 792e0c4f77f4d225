import { quote } from "../../core/errors.ts";
import { integer, number, only, type Section, setting } from "../../files/fields.ts";
import type { JsonValue } from "../../files/json.ts";
import { GENERATION_RANGES } from "./limits.ts";

/** The generation settings of a checkpoint: defaults of every call. */
export interface GenerationDefaults {
  readonly numBeams: number;
  readonly earlyStopping: boolean | "never";
  /** 0: repeats are allowed. */
  readonly noRepeatNgramSize: number;
  /** 1: none. */
  readonly repetitionPenalty: number;
  readonly lengthPenalty: number;
  /** New tokens before the end token may come. */
  readonly minNewTokens: number;
  /** New tokens, the forced first one and the end token included; absent where the files set no limit. */
  readonly maxNewTokens?: number;
  readonly doSample: boolean;
  readonly temperature: number;
  /** 0: all tokens. */
  readonly topK: number;
  readonly topP: number;
}

/** Settings of transformers' generation without a counterpart here, and the values with which they do nothing. */
const NEUTRAL_SETTINGS: Readonly<Record<string, readonly JsonValue[]>> = {
  bad_words_ids: [null],
  begin_suppress_tokens: [null],
  constraints: [null],
  diversity_penalty: [0],
  encoder_no_repeat_ngram_size: [0],
  encoder_repetition_penalty: [1],
  epsilon_cutoff: [0],
  eta_cutoff: [0],
  exponential_decay_length_penalty: [null],
  force_words_ids: [null],
  guidance_scale: [1],
  min_p: [0],
  num_beam_groups: [1],
  num_return_sequences: [1],
  penalty_alpha: [0],
  remove_invalid_values: [false],
  renormalize_logits: [false],
  sequence_bias: [null],
  stop_strings: [null],
  suppress_tokens: [null],
  top_h: [0],
  typical_p: [1],
  watermarking_config: [null],
};

/**
 * Reads generation settings, each from the first section that has it. min_length counts the start token, as in
 * transformers; min_new_tokens goes before it.
 *
 * @param warn receives a message for each setting that would change answers and has no counterpart here
 */
export function parseGeneration(
  sections: readonly Section[],
  warn: (message: string) => void,
): GenerationDefaults {
  const named = (key: string) => setting(sections, key);
  for (const [key, neutral] of Object.entries(NEUTRAL_SETTINGS)) {
    const { where, value } = named(key);
    if (value === undefined || neutral.includes(value)) continue;
    warn(`${where} is ${quote(value)}: this setting is not supported, answers are generated without it.`);
  }
  const ranged = (key: string, name: keyof typeof GENERATION_RANGES, fallback: number) => {
    const [min, max] = GENERATION_RANGES[name];
    return number(named(key), { fallback, min, max });
  };
  const [min, max] = GENERATION_RANGES.numBeams;
  const minLength = integer(named("min_length"), { fallback: 0, min: 0 });
  const maxNewTokens = named("max_new_tokens");
  return {
    numBeams: integer(named("num_beams"), { fallback: 3, min, max }),
    earlyStopping: only(named("early_stopping"), [true, false, "never"]) ?? true,
    noRepeatNgramSize: integer(named("no_repeat_ngram_size"), { fallback: 3, min: 0 }),
    repetitionPenalty: ranged("repetition_penalty", "repetitionPenalty", 1),
    lengthPenalty: ranged("length_penalty", "lengthPenalty", 1),
    minNewTokens: integer(named("min_new_tokens"), { fallback: Math.max(0, minLength - 1), min: 0 }),
    ...(maxNewTokens.value !== undefined && { maxNewTokens: integer(maxNewTokens) }),
    doSample: only(named("do_sample"), [true, false]) ?? false,
    temperature: ranged("temperature", "temperature", 1),
    topK: integer(named("top_k"), { fallback: 50, min: 0 }),
    topP: ranged("top_p", "topP", 1),
  };
}
