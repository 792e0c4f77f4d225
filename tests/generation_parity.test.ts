import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { generate } from "../model/generation/generate.ts";
import { type GenerationOptions, generationSettings } from "../model/generation/options.ts";
import type { GeneratedSequence } from "../model/generation/search.ts";
import { type MadeUpDecoder, madeUpStep } from "./support/made_up_decoder.ts";

/** Every case of tests/reference/decoding.py: transformers' `generate` against ours. */

type Case = MadeUpDecoder & GenerationOptions & { batch: number; numBeams: number };

interface Fixture {
  names: string[];
  cases: unknown[][];
  lengths: string;
  tokens: string;
  scores: string;
  logProbs: string;
}

const fixture: Fixture = JSON.parse(
  readFileSync(new URL("./fixtures/decoding/search.json", import.meta.url), "utf8"),
);
const bytes = (base64: string) => Uint8Array.from(Buffer.from(base64, "base64"));
const floats = (base64: string) => new Float32Array(bytes(base64).buffer);

/** Hands out an array piece by piece. */
function reader<T extends Uint8Array | Float32Array>(array: T) {
  let position = 0;
  return {
    take: (count: number): number[] => {
      position += count;
      return [...array.subarray(position - count, position)];
    },
    get left() {
      return array.length - position;
    },
  };
}

const near = (actual: number, expected: number) =>
  Object.is(actual, expected) || Math.abs(actual - expected) <= 1e-5 * Math.max(1, Math.abs(expected));

test("greedy and beam search give the reference's tokens, scores and log-probabilities", async () => {
  const lengths = reader(bytes(fixture.lengths));
  const tokens = reader(bytes(fixture.tokens));
  const scores = reader(floats(fixture.scores));
  const logProbs = reader(floats(fixture.logProbs));

  for (const [index, values] of fixture.cases.entries()) {
    const found = Object.fromEntries(fixture.names.map((name, i) => [name, values[i]])) as unknown as Case;
    const settings = generationSettings(found, {
      vocabSize: found.vocab,
      maxPositions: 1024,
      decoderStartTokenId: 2,
      eosTokenId: 2,
    });
    const pictures = [...Array(found.batch).keys()];
    const answers = await generate(madeUpStep(found, pictures), found.batch, settings);
    for (const [place, sequence] of answers.flat().entries()) {
      const name = `case ${index}, sequence ${place}: ${JSON.stringify(found)}`;
      const [length] = lengths.take(1) as [number];
      const expected: GeneratedSequence = {
        tokens: tokens.take(length),
        logProbs: logProbs.take(length - 1),
        score: NaN,
        finishReason: sequence.finishReason,
      };
      const sum = expected.logProbs.reduce((total, logProb) => total + logProb, 0);
      const [score] = found.numBeams > 1 ? scores.take(1) : [sum / (length - 1) ** found.lengthPenalty!];
      expect(sequence.tokens, name).toEqual(expected.tokens);
      expect(near(sequence.score, score!), `${name}: score ${sequence.score}, expected ${score}`).toBe(true);
      expect(sequence.logProbs.length, name).toBe(expected.logProbs.length);
      for (const [i, logProb] of sequence.logProbs.entries()) {
        const wanted = expected.logProbs[i]!;
        expect(near(logProb, wanted), `${name}: log-probability ${i} is ${logProb}, not ${wanted}`).toBe(
          true,
        );
      }
    }
  }
  expect([lengths, tokens, scores, logProbs].map(({ left }) => left)).toEqual([0, 0, 0, 0]);
  expect(fixture.cases.length).toBeGreaterThanOrEqual(1000);
});
