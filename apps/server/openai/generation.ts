import type { Question } from "../engine/engine.ts";
import { badRequest } from "../http/errors.ts";

/** The fields of a request that decide how an answer is decoded, by the names that clients use. */
export interface DecodingFields {
  readonly max_tokens?: number | null;
  readonly n?: number | null;
  readonly seed?: number | null;
  readonly temperature?: number | null;
  readonly top_p?: number | null;
  readonly top_k?: number;
  readonly num_beams?: number;
  readonly min_tokens?: number;
  readonly repetition_penalty?: number;
  readonly length_penalty?: number;
}

export interface DecodingRules {
  readonly sampling: "allow" | "ignore";
  readonly maxChoices: number;
}

/** The beams of the published models. */
const USUAL_BEAMS = 3;

/**
 * The library's options for a request. A temperature above 0 asks for sampling, without beams unless they are asked
 * for too; `n` best answers take `n` beams at least.
 */
export function generationOf(
  fields: DecodingFields,
  { sampling, maxChoices }: DecodingRules,
): Question["generation"] {
  const n = fields.n ?? 1;
  if (n > maxChoices)
    throw badRequest("invalid_value", `n is ${n}; this server gives at most ${maxChoices} answers.`, "n");
  const doSample = sampling === "allow" && (fields.temperature ?? 0) > 0;
  const usualBeams = n > USUAL_BEAMS ? n : undefined;
  const options = {
    maxNewTokens: fields.max_tokens ?? undefined,
    minNewTokens: fields.min_tokens,
    numBeams: fields.num_beams ?? (doSample ? 1 : usualBeams),
    numReturnSequences: n > 1 ? n : undefined,
    repetitionPenalty: fields.repetition_penalty,
    lengthPenalty: fields.length_penalty,
    ...(doSample && {
      doSample,
      temperature: fields.temperature ?? undefined,
      topP: fields.top_p ?? undefined,
      topK: fields.top_k,
      seed: fields.seed === undefined || fields.seed === null ? undefined : seedOf(fields.seed),
    }),
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** Clients' seeds are 64-bit and may be negative; the library's are from 0 to 2^53 - 1. */
const seedOf = (seed: number): number => Math.abs(Math.trunc(seed)) % 2 ** 53;
