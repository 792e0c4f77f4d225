import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CpuRunner } from "../../../core/cpu/cpu_runner.ts";
import type { Runner } from "../../../core/runner.ts";
import { type GenerationOptions, generationSettings } from "../../../model/generation/options.ts";
import { gpuMissing, openTestGpu } from "../../support/gpu.ts";
import { type MadeUpDecoder, madeUpStep } from "../../support/made_up_decoder.ts";
import { generate } from "../../support/search_from_step.ts";

/** Cases of tests/reference/decoding.py where any of several tokens ends an answer. */

type Case = MadeUpDecoder &
  GenerationOptions & { batch: number; numBeams: number; maxNewTokens: number; eosTokenId: number[] } & {
    sequences: { tokens: number[]; score: number | null; logProbs: number[] }[];
  };

interface Fixture {
  cases: Case[];
  draws: {
    decoder: MadeUpDecoder;
    eosTokenId: number[];
    settings: GenerationOptions;
    drawn: { numBeams: number; counts: Record<string, number> }[];
  };
}

const fixture: Fixture = JSON.parse(
  readFileSync(new URL("../../fixtures/decoding/end_tokens.json", import.meta.url), "utf8"),
);

const settingsOf = (vocabSize: number, eosTokenId: readonly number[], options: GenerationOptions) =>
  generationSettings(options, { vocabSize, maxPositions: 1024, decoderStartTokenId: 2, eosTokenId });

/** Within 1e-5, of numbers beyond one within 1e-5 of them: single precision. */
const near = (expected: number) =>
  expect.closeTo(expected, -Math.log10(2e-5 * Math.max(1, Math.abs(expected))));

describe("several end tokens, against transformers", () => {
  it("have cases of greedy and beam search, free, forced and banned", () => {
    const { cases } = fixture;
    expect(cases.filter(({ numBeams }) => numBeams === 1).length).toBeGreaterThan(10);
    expect(cases.filter(({ numBeams }) => numBeams > 1).length).toBeGreaterThan(50);
    expect(cases.some(({ forcedEosTokenId }) => Array.isArray(forcedEosTokenId))).toBe(true);
    expect(cases.some(({ minNewTokens }) => minNewTokens! > 3)).toBe(true);
    const early = cases.flatMap(({ sequences, maxNewTokens, eosTokenId }) =>
      sequences.flatMap(({ tokens }) =>
        tokens.length - 1 < maxNewTokens ? [eosTokenId.indexOf(tokens.at(-1)!)] : [],
      ),
    );
    expect(new Set(early)).toEqual(new Set([0, 1, 2, 3]));
  });

  it("end greedy and beam search as there, on the CPU", async () => {
    const runner = new CpuRunner();
    for (const [i, one] of fixture.cases.entries()) await check(one, `case ${i}`, runner);
    runner.dispose();
  });

  it.skipIf(gpuMissing)("end greedy and beam search as there, on the GPU", async () => {
    const runner = await openTestGpu();
    for (const [i, one] of fixture.cases.slice(0, 20).entries()) await check(one, `case ${i}`, runner);
    runner.dispose();
  });

  it.each(fixture.draws.drawn)(
    "end draws as often as there: $numBeams beams",
    async ({ numBeams, counts }) => {
      const { decoder, eosTokenId, settings } = fixture.draws;
      const theirs = new Map(Object.entries(counts));
      const total = [...theirs.values()].reduce((sum, count) => sum + count);
      const free = { noRepeatNgramSize: 0, forcedBosTokenId: null, forcedEosTokenId: null };
      const ours = new Map<string, number>();
      const runs = 3000;
      const runner = new CpuRunner();
      for (let seed = 0; seed < runs; seed++) {
        const options = { ...settings, ...free, numBeams, seed, doSample: true };
        const step = madeUpStep(decoder, [0]);
        const [answers] = await generate(step, 1, settingsOf(decoder.vocab, eosTokenId, options), runner);
        const ending = answers![0]!.tokens.join(" ");
        ours.set(ending, (ours.get(ending) ?? 0) + 1);
      }
      runner.dispose();
      // Two samples: each share within five standard deviations of the difference.
      for (const ending of new Set([...theirs.keys(), ...ours.keys()])) {
        const share = (theirs.get(ending) ?? 0) / total;
        const deviation = Math.sqrt((share + 1 / total) * (1 / runs + 1 / total));
        expect(Math.abs((ours.get(ending) ?? 0) / runs - share), ending).toBeLessThan(5 * deviation);
      }
    },
  );

  it("leave room among 64 candidates for so many beams", () => {
    expect(settingsOf(50, [2, 3], { numBeams: 21 }).numBeams).toBe(21);
    expect(() => settingsOf(50, [2, 3], { numBeams: 22 })).toThrow(
      "numBeams is 22; allowed is an integer from 1 to 21",
    );
  });
});

async function check(one: Case, name: string, runner: Runner) {
  const { sequences, eosTokenId, vocab, batch, numBeams, lengthPenalty, ...options } = one;
  const settings = settingsOf(vocab, eosTokenId, { ...options, numBeams, lengthPenalty });
  const answers = await generate(madeUpStep(one, [...Array(batch).keys()]), batch, settings, runner);
  const expected = sequences.map(({ tokens, score, logProbs }) => {
    // The reference gives no score for greedy search; ours is defined as that of a beam search with one beam.
    const sum = logProbs.reduce((total, logProb) => total + logProb, 0);
    return {
      tokens,
      score: near(score ?? sum / logProbs.length ** lengthPenalty!),
      logProbs: logProbs.map(near),
    };
  });
  const found = answers.flat().map(({ tokens, score, logProbs }) => ({ tokens, score, logProbs }));
  expect(found, `${name}: ${JSON.stringify({ ...one, sequences: undefined })}`).toEqual(expected);
}
