import { Florence2Error, quote } from "../../core/errors.ts";
import type { Florence2Config } from "../config/config.ts";
import { GENERATION_RANGES, MAX_CANDIDATES, MAX_ROWS_PER_IMAGE } from "../config/limits.ts";
import type { StepReport } from "./report.ts";

/**
 * How to decode. The names and meanings are those of `transformers.GenerationConfig`; whatever is left
 * out comes from the checkpoint, and then from `FLORENCE2_DEFAULTS`.
 */
export interface GenerationOptions {
  /** Hypotheses kept per image, 1 to 32; 1 is greedy search. Default 3. */
  numBeams?: number | undefined;
  /** Draw tokens at random instead of taking the likeliest; with several beams, beam sampling. Default false. */
  doSample?: boolean | undefined;
  /** Sampling only: divides the scores, 0.0001 to 10000. Default 1. */
  temperature?: number | undefined;
  /** Sampling only: draw from this many of the likeliest tokens; 0 for all. Default 50. */
  topK?: number | undefined;
  /** Sampling only: draw from the likeliest tokens that together have this probability, 0 to 1. Default 1. */
  topP?: number | undefined;
  /** Sampling only: same seed, same answer; an integer from 0 to 2^53 - 1. Default: a new one for each run. */
  seed?: number | undefined;
  /** No run of this many tokens occurs twice in an answer; 0 for no such rule. Default 3. */
  noRepeatNgramSize?: number | undefined;
  /** Divides positive and multiplies negative scores of tokens already in the answer, 0.0001 to 10000. Default 1. */
  repetitionPenalty?: number | undefined;
  /** The first new token, or null to let the model choose. Default 0. */
  forcedBosTokenId?: number | null | undefined;
  /**
   * The last token of an answer cut at `maxNewTokens`, several of which the model chooses one, or null to let it choose
   * among all. Default 2.
   */
  forcedEosTokenId?: number | readonly number[] | null | undefined;
  /**
   * When beam search stops: true as soon as `numBeams` answers ended, false when a better one has become
   * unlikely, "never" when it has become impossible. Default true.
   */
  earlyStopping?: boolean | "never" | undefined;
  /** A score is a sum of log-probabilities divided by (new tokens)^lengthPenalty, -10 to 10. Default 1. */
  lengthPenalty?: number | undefined;
  /** New tokens including the forced first one and the end token. Default 1024 or what the positions allow. */
  maxNewTokens?: number | undefined;
  /** New tokens before an end token may come. Default 0. */
  minNewTokens?: number | undefined;
  /** Answers per image; with beam search at most `numBeams`, with greedy search 1. Default 1. */
  numReturnSequences?: number | undefined;
  /** Ends the run before its next step, with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Called, and awaited, for every step, which the device takes two and then eight at a time; what it throws ends the run. */
  onStep?: ((report: StepReport) => void | Promise<void>) | undefined;
}

/** The properties of a checkpoint that decoding needs. */
export interface DecodedModel {
  vocabSize: number;
  /** How many tokens the decoder can take in, the start token included. */
  maxPositions: number;
  decoderStartTokenId: number;
  /** Any of them ends an answer. */
  eosTokenId: number | readonly number[];
  /** Token of <loc_0>, which the other locations follow; answers have confidences then. */
  firstLocationId?: number;
  /** The checkpoint's own generation settings. */
  defaults?: GenerationOptions;
}

/** Every option decided, and the model it was decided for. */
export interface GenerationSettings extends Required<Omit<GenerationOptions, "signal" | "onStep">> {
  signal: AbortSignal | undefined;
  onStep: ((report: StepReport) => void | Promise<void>) | undefined;
  /** Rows of the decoder that one image takes. */
  rowsPerImage: number;
  model: DecodedModel;
}

const USUAL_MAX_NEW_TOKENS = 1024;

/** The generation settings of the published Florence-2 checkpoints. */
const FLORENCE2_DEFAULTS = {
  numBeams: 3,
  doSample: false,
  temperature: 1,
  topK: 50,
  topP: 1,
  noRepeatNgramSize: 3,
  repetitionPenalty: 1,
  forcedBosTokenId: 0,
  forcedEosTokenId: 2,
  earlyStopping: true,
  lengthPenalty: 1,
  minNewTokens: 0,
  numReturnSequences: 1,
} as const satisfies GenerationOptions;

/** The settings for a model's configuration and the options of a call: see `generationSettings`. */
export function settingsFor(
  { text, tokens, generation }: Florence2Config,
  options: GenerationOptions,
  firstLocationId?: number,
): GenerationSettings {
  // A call's own limit goes before what the checkpoint says of lengths, and no limit exceeds the positions.
  const maxNewTokens =
    generation.maxNewTokens && Math.min(generation.maxNewTokens, text.maxPositionEmbeddings);
  const max = options.maxNewTokens ?? maxNewTokens ?? text.maxPositionEmbeddings;
  const minNewTokens = Math.min(generation.minNewTokens, max);
  return generationSettings(options, {
    vocabSize: text.vocabSize,
    maxPositions: text.maxPositionEmbeddings,
    decoderStartTokenId: tokens.decoderStart,
    eosTokenId: tokens.eos,
    firstLocationId,
    defaults: {
      ...generation,
      maxNewTokens,
      minNewTokens,
      forcedBosTokenId: tokens.forcedBos,
      forcedEosTokenId: tokens.forcedEos,
    },
  });
}

/**
 * Checks the options and fills in what they leave out.
 *
 * @throws Florence2Error `option_invalid`, naming the option, the value found and the values allowed.
 */
export function generationSettings(options: GenerationOptions, model: DecodedModel): GenerationSettings {
  const given: GenerationOptions = { ...FLORENCE2_DEFAULTS };
  for (const source of [model.defaults ?? {}, options]) {
    Object.assign(
      given,
      Object.fromEntries(Object.entries(source).filter(([, value]) => value !== undefined)),
    );
  }
  const { vocabSize, maxPositions } = model;

  const doSample = oneOf("doSample", given.doSample, [true, false]);
  const [minBeams, maxBeams] = GENERATION_RANGES.numBeams;
  const maxBeamsOfEnds = Math.floor(MAX_CANDIDATES / (1 + listOf(model.eosTokenId).length));
  const numBeams = integer(
    "numBeams",
    given.numBeams,
    minBeams,
    Math.max(1, Math.min(maxBeams, maxBeamsOfEnds)),
  );
  const mostSequences = numBeams > 1 ? numBeams : doSample ? MAX_ROWS_PER_IMAGE : 1;
  const numReturnSequences = integer("numReturnSequences", given.numReturnSequences, 1, mostSequences);
  const defaultMaxNewTokens = Math.min(USUAL_MAX_NEW_TOKENS, maxPositions);
  const maxNewTokens = integer("maxNewTokens", given.maxNewTokens ?? defaultMaxNewTokens, 1, maxPositions);
  return {
    numBeams,
    doSample,
    temperature: real("temperature", given.temperature, ...GENERATION_RANGES.temperature),
    topK: integer("topK", given.topK, 0, Number.MAX_SAFE_INTEGER),
    topP: real("topP", given.topP, ...GENERATION_RANGES.topP),
    seed: integer("seed", given.seed ?? randomSeed(), 0, Number.MAX_SAFE_INTEGER),
    noRepeatNgramSize: integer("noRepeatNgramSize", given.noRepeatNgramSize, 0, Number.MAX_SAFE_INTEGER),
    repetitionPenalty: real(
      "repetitionPenalty",
      given.repetitionPenalty,
      ...GENERATION_RANGES.repetitionPenalty,
    ),
    forcedBosTokenId: tokenOrNull("forcedBosTokenId", given.forcedBosTokenId, vocabSize),
    forcedEosTokenId: tokensOrNull("forcedEosTokenId", given.forcedEosTokenId, vocabSize),
    earlyStopping: oneOf("earlyStopping", given.earlyStopping, [true, false, "never"]),
    lengthPenalty: real("lengthPenalty", given.lengthPenalty, ...GENERATION_RANGES.lengthPenalty),
    maxNewTokens,
    minNewTokens: integer("minNewTokens", given.minNewTokens, 0, maxNewTokens),
    numReturnSequences,
    signal: having("signal", given.signal, "an AbortSignal", (it) => typeof it.throwIfAborted === "function"),
    onStep: having("onStep", given.onStep, "a function", (it) => typeof it === "function"),
    rowsPerImage: numBeams > 1 ? numBeams : numReturnSequences,
    model,
  };
}

/** An integer from `min` to `max`, both included, or an `option_invalid` error. */
export function integer(option: string, found: unknown, min: number, max: number): number {
  if (Number.isInteger(found) && (found as number) >= min && (found as number) <= max) {
    return found as number;
  }
  throw invalid(option, found, `an integer from ${min} to ${max}`);
}

function real(option: string, found: unknown, min: number, max: number): number {
  if (typeof found === "number" && found >= min && found <= max) return found;
  throw invalid(option, found, `a number from ${min} to ${max}`);
}

function oneOf<T>(option: string, found: T | undefined, allowed: readonly T[]): T {
  if (allowed.includes(found as T)) return found as T;
  throw invalid(option, found, allowed.map((value) => JSON.stringify(value)).join(" or "));
}

function having<T>(option: string, found: T | undefined, allowed: string, test: (value: T) => boolean) {
  if (found === undefined || (found !== null && test(found))) return found;
  throw invalid(option, found, allowed);
}

function tokenOrNull(option: string, found: number | null | undefined, vocabSize: number): number | null {
  if (found === null) return null;
  if (Number.isInteger(found) && found! >= 0 && found! < vocabSize) return found!;
  throw invalid(option, found, `null or an integer from 0 to ${vocabSize - 1}`);
}

/** One or several tokens. */
function tokensOrNull(
  option: string,
  found: number | readonly number[] | null | undefined,
  vocabSize: number,
) {
  if (!Array.isArray(found) || found.length === 0) return tokenOrNull(option, found as number, vocabSize);
  for (const token of found) integer(option, token, 0, vocabSize - 1);
  return found as readonly number[];
}

/** `listOf(2)` and `listOf([2])` are [2]. */
export const listOf = (tokens: number | readonly number[]): readonly number[] =>
  typeof tokens === "number" ? [tokens] : tokens;

function invalid(option: string, found: unknown, allowed: string): Florence2Error {
  const message = `${option} is ${quote(found)}; allowed is ${allowed}`;
  return new Florence2Error("option_invalid", message, { option, found, allowed });
}

function randomSeed(): number {
  return globalThis.crypto.getRandomValues(new Uint32Array(1))[0]!;
}
