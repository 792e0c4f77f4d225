import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CpuRunner } from "../../../core/cpu/cpu_runner.ts";
import type { Runner } from "../../../core/runner.ts";
import { type GenerationOptions, generationSettings } from "../../../model/generation/options.ts";
import { gpuMissing, openTestGpu } from "../../support/gpu.ts";
import { type MadeUpDecoder, madeUpStep } from "../../support/made_up_decoder.ts";
import { generate } from "../../support/search_from_step.ts";

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
  readFileSync(new URL("../../fixtures/decoding/search.json", import.meta.url), "utf8"),
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

/** The GPU takes the first hundred: it is asked once for each step here, and has shaders to compile. */
const runners: [string, string | undefined, () => Promise<Runner>, number][] = [
  ["CPU's twins", undefined, async () => new CpuRunner(), fixture.cases.length],
  ["CPU engine", undefined, () => CpuRunner.open(), fixture.cases.length],
  ["GPU", gpuMissing, () => openTestGpu(), 100],
];

const title = "greedy and beam search give the reference's tokens, scores and log-probabilities";
for (const [device, missing, open, count] of runners)
  test.skipIf(missing)(`${title} on the ${device}`, async () => {
    const runner = await open();
    const lengths = reader(bytes(fixture.lengths));
    const tokens = reader(bytes(fixture.tokens));
    const scores = reader(floats(fixture.scores));
    const logProbs = reader(floats(fixture.logProbs));

    for (const [index, values] of fixture.cases.slice(0, count).entries()) {
      const found = Object.fromEntries(fixture.names.map((name, i) => [name, values[i]])) as unknown as Case;
      const settings = generationSettings(found, {
        vocabSize: found.vocab,
        maxPositions: 1024,
        decoderStartTokenId: 2,
        eosTokenId: 2,
      });
      const pictures = [...Array(found.batch).keys()];
      const answers = await generate(madeUpStep(found, pictures), found.batch, settings, runner);
      const name = `case ${index}: ${JSON.stringify(found)}`;
      for (const sequence of answers.flat()) {
        const [length] = lengths.take(1) as [number];
        expect(sequence.tokens, name).toEqual(tokens.take(length));
        const expected = logProbs.take(length - 1);
        expect(sequence.logProbs.length, name).toBe(expected.length);
        const far = sequence.logProbs.findIndex((logProb, i) => !near(logProb, expected[i]!));
        expect(
          far,
          `${name}: log-probability ${far} is ${sequence.logProbs[far]}, not ${expected[far]}`,
        ).toBe(-1);
        // The reference gives no score for greedy search; ours is defined as that of a beam search with one beam.
        const sum = expected.reduce((total, logProb) => total + logProb, 0);
        const score = found.numBeams > 1 ? scores.take(1)[0]! : sum / (length - 1) ** found.lengthPenalty!;
        expect(near(sequence.score, score), `${name}: score ${sequence.score}, not ${score}`).toBe(true);
      }
    }
    runner.dispose();
    if (count < fixture.cases.length) return;
    expect([lengths, tokens, scores, logProbs].map(({ left }) => left)).toEqual([0, 0, 0, 0]);
    expect(fixture.cases.length).toBeGreaterThanOrEqual(1000);
  });
