import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CpuRunner } from "../../../core/cpu/cpu_runner.ts";
import { Recording } from "../../../core/recording.ts";
import { gumbelNoise, philox } from "../../../kernels/rank_tokens/gumbel.ts";
import { type Sampling, samplingFilter } from "../../../kernels/sampling_filter/sampling_filter.ts";
import { LOWEST } from "../../../kernels/shared/vocabulary.ts";
import { type GenerationOptions, generationSettings } from "../../../model/generation/options.ts";
import {
  type DecoderStep,
  type MadeUpDecoder,
  madeUpLogits,
  madeUpStep,
} from "../../support/made_up_decoder.ts";
import { generate } from "../../support/search_from_step.ts";

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../fixtures/decoding/${name}`, import.meta.url), "utf8"));

const settingsFor = (vocabSize: number, options: GenerationOptions) =>
  generationSettings(
    {
      doSample: true,
      numBeams: 1,
      noRepeatNgramSize: 0,
      forcedBosTokenId: null,
      forcedEosTokenId: null,
      ...options,
    },
    { vocabSize, maxPositions: 1024, decoderStartTokenId: 2, eosTokenId: 2 },
  );

const softmax = (logits: Float32Array) => {
  const weights = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
};

const runner = new CpuRunner();

/** What sampling draws from. */
async function narrowed(logits: Float32Array, sampling: Partial<Sampling>): Promise<Float32Array> {
  const scores = runner.upload("scores", [1, logits.length], logits);
  const rec = new Recording();
  samplingFilter(rec, scores, { temperature: 1, topK: 0, topP: 1, minKept: 1, ...sampling });
  const program = await runner.prepare(rec);
  await program.run();
  const found = (await runner.read(scores)) as Float32Array;
  program.dispose();
  runner.free(scores);
  return found;
}

/**
 * The chi-square statistic in units of its standard deviation from its mean. With the fixed seeds of these
 * tests it is a constant; for a right distribution it exceeds 4 once in ten thousand seeds.
 */
function excess(observed: readonly number[], expected: readonly number[]): number {
  let statistic = 0;
  let cells = 0;
  for (const [i, count] of observed.entries()) {
    if (expected[i] === 0) {
      if (count > 0) return Infinity;
      continue;
    }
    statistic += (count - expected[i]!) ** 2 / expected[i]!;
    cells++;
  }
  return (statistic - (cells - 1)) / Math.sqrt(2 * (cells - 1));
}

test("philox gives the known answers of its authors", () => {
  const all = 0xffffffff;
  expect(philox([0, 0, 0, 0], [0, 0])).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  expect(philox([all, all, all, all], [all, all])).toEqual([0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
  expect(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])).toEqual([
    0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1,
  ]);
});

test("gumbel noise follows its distribution and changes with every part of its address", () => {
  const bins = 20;
  const counts = new Array<number>(bins).fill(0);
  for (let i = 0; i < 20_000; i++) {
    const cumulative = Math.exp(-Math.exp(-gumbelNoise(1, i, 0, 7)));
    counts[Math.floor(cumulative * bins)]!++;
  }
  expect(
    excess(
      counts,
      counts.map(() => 1000),
    ),
  ).toBeLessThan(4);
  const neighbours = [gumbelNoise(1, 2, 3, 4), gumbelNoise(2, 2, 3, 4), gumbelNoise(1, 3, 3, 4)];
  neighbours.push(gumbelNoise(1, 2, 4, 4), gumbelNoise(1, 2, 3, 5), gumbelNoise(1 + 2 ** 32, 2, 3, 4));
  expect(new Set(neighbours).size).toBe(6);
});

test("temperature, top-k and top-p keep what the reference's warpers keep", async () => {
  const { rows } = read("warpers.json");
  for (const row of rows) {
    const logits = madeUpLogits({ context: 1, eosBias: 0, ...row }, 0, []);
    const step = 2 ** (row.spread - 20 + row.ties);
    const coarse = logits.map((logit) => Math.floor(logit / step) * step).fill(LOWEST, 0, row.banned);
    const { temperature, topK, topP } = row;
    const scores = await narrowed(coarse, { temperature, topK, topP, minKept: row.minimum });
    const kept = [...scores.keys()].filter((token) => scores[token]! > LOWEST);
    expect(kept, JSON.stringify(row)).toEqual(row.kept);
    const expected = new Float32Array(Uint8Array.from(Buffer.from(row.scores, "base64")).buffer);
    for (const [i, token] of kept.entries()) expect(scores[token]).toBeCloseTo(expected[i]!, 5);
  }
  expect(rows.length).toBe(300);
});

const peaked: MadeUpDecoder = { key: 9, vocab: 12, context: 1, spread: 2, eosBias: 0 };
const single = (decoder: MadeUpDecoder): DecoderStep => madeUpStep(decoder, [0]);

/** The first new token of many runs, as counts [vocab]. */
async function drawFirstTokens(options: GenerationOptions, draws: number): Promise<number[]> {
  const counts = new Array<number>(peaked.vocab).fill(0);
  for (let seed = 0; seed < draws / 32; seed++) {
    const settings = settingsFor(peaked.vocab, { maxNewTokens: 1, numReturnSequences: 32, seed, ...options });
    const rows = madeUpLogits(peaked, 0, [2]);
    const logits = new Float32Array(32 * peaked.vocab);
    for (let row = 0; row < 32; row++) logits.set(rows, row * peaked.vocab);
    const [answers] = await generate(async () => logits, 1, settings);
    for (const { tokens } of answers!) counts[tokens[1]!]!++;
  }
  return counts;
}

test.each([
  [{ topK: 0 }],
  [{ topK: 0, temperature: 0.6 }],
  [{ topK: 4 }],
  [{ topK: 0, topP: 0.7 }],
  [{ topK: 6, topP: 0.9, temperature: 1.5 }],
])("%j draws tokens with their exact probabilities", async (options) => {
  const draws = 16_000;
  const scores = await narrowed(madeUpLogits(peaked, 0, [2]), options);
  const expected = [...softmax(scores)].map((probability) => probability * draws);
  expect(excess(await drawFirstTokens(options, draws), expected)).toBeLessThan(4);
});

test("a different sampler would be noticed", async () => {
  const draws = 16_000;
  const wrong = [...softmax(madeUpLogits(peaked, 0, [2]).map((logit) => logit * 0.95))];
  const expected = wrong.map((probability) => probability * draws);
  expect(excess(await drawFirstTokens({ topK: 0 }, draws), expected)).toBeGreaterThan(4);
});

test("beam sampling ends in each sequence as often as the reference", async () => {
  const { decoder, settings, counts } = read("beam_sampling.json");
  const theirs = new Map<string, number>(Object.entries(counts));
  const total = [...theirs.values()].reduce((sum, count) => sum + count);
  const runs = 6_000;
  const ours = new Map<string, number>();
  for (let seed = 0; seed < runs; seed++) {
    const [answers] = await generate(single(decoder), 1, settingsFor(decoder.vocab, { ...settings, seed }));
    const ending = answers![0]!.tokens.join(" ");
    ours.set(ending, (ours.get(ending) ?? 0) + 1);
  }
  // Two samples: chi-square over the endings that are common enough, the rest as one cell.
  const common = [...theirs].filter(([, count]) => count >= 50).map(([ending]) => ending);
  const cellsOf = (sample: Map<string, number>, size: number) => {
    const cells = common.map((ending) => (sample.get(ending) ?? 0) / size);
    return [...cells, 1 - cells.reduce((sum, cell) => sum + cell)];
  };
  const [a, b] = [cellsOf(ours, runs), cellsOf(theirs, total)];
  const scale = 1 / (1 / runs + 1 / total);
  const statistic = a.reduce(
    (sum, cell, i) => sum + (scale * (cell - b[i]!) ** 2) / ((cell + b[i]!) / 2 || 1),
    0,
  );
  expect(common.length).toBeGreaterThan(15);
  expect((statistic - common.length) / Math.sqrt(2 * common.length)).toBeLessThan(4);
});

test("the same seed gives the same answers, another seed others", async () => {
  const decoder = { ...peaked, vocab: 60 };
  const run = async (numBeams: number, seed?: number) =>
    (
      await generate(
        single(decoder),
        1,
        settingsFor(60, { maxNewTokens: 20, minNewTokens: 20, numBeams, seed }),
      )
    )[0];
  for (const numBeams of [1, 3]) {
    expect(await run(numBeams, 5)).toEqual(await run(numBeams, 5));
    expect(await run(numBeams, 5)).not.toEqual(await run(numBeams, 6));
    expect(await run(numBeams)).not.toEqual(await run(numBeams));
  }
});

test("a sampled answer does not change with the batch or with the number of answers", async () => {
  const decoder = { ...peaked, vocab: 60 };
  const settings = (numReturnSequences: number) =>
    settingsFor(60, { seed: 3, maxNewTokens: 15, numReturnSequences });
  const alone = await generate(madeUpStep(decoder, [4]), 1, settings(2));
  const together = await generate(madeUpStep(decoder, [1, 4, 7]), 3, settings(2));
  expect(together[1]).toEqual(alone[0]);
  expect(alone[0]![0]!.tokens).not.toEqual(alone[0]![1]!.tokens);
  const more = await generate(madeUpStep(decoder, [4]), 1, settings(5));
  expect(more[0]!.slice(0, 2)).toEqual(alone[0]);
});
