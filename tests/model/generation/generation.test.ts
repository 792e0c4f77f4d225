import { describe, expect, test, vi } from "vitest";
import { CpuRunner } from "../../../core/cpu/cpu_runner.ts";
import { Florence2Error } from "../../../core/errors.ts";
import { Recording } from "../../../core/recording.ts";
import { type GenerationOptions, generationSettings } from "../../../model/generation/options.ts";
import type { DecidedTokens, StepReport } from "../../../model/generation/report.ts";
import { Search } from "../../../model/generation/search.ts";
import { type DecoderStep, type MadeUpDecoder, madeUpStep } from "../../support/made_up_decoder.ts";
import { generate, stream } from "../../support/search_from_step.ts";

const EOS = 2;
const decoder: MadeUpDecoder = { key: 11, vocab: 50, context: 2, spread: 3, eosBias: 64 };

const settingsFor = (options: GenerationOptions, vocabSize = decoder.vocab, maxPositions = 1024) =>
  generationSettings(options, { vocabSize, maxPositions, decoderStartTokenId: EOS, eosTokenId: EOS });

const made = (images: readonly number[]) => madeUpStep(decoder, images);

/** A decoder whose logits are `values` in every row and at every step. */
const constant =
  (...values: number[]): DecoderStep =>
  async (tokens) =>
    Float32Array.from({ length: tokens.length * values.length }, (_, i) => values[i % values.length]!);

/** Wraps a decoder to see, and change, what it returns. */
const watched = (step: DecoderStep, watch: (logits: Float32Array, position: number) => void): DecoderStep => {
  return async (tokens, parents, position) => {
    const logits = await step(tokens, parents, position);
    watch(logits, position);
    return logits;
  };
};

async function collect(step: DecoderStep, batch: number, options: GenerationOptions) {
  const steps = stream(step, batch, settingsFor(options));
  const reports: StepReport[] = [];
  for (;;) {
    const { done, value } = await steps.next();
    if (done) return { reports, answers: value };
    reports.push(value);
  }
}

const strategies: [string, GenerationOptions][] = [
  ["greedy search", { numBeams: 1 }],
  ["beam search", { numBeams: 3 }],
  ["beam search for three answers", { numBeams: 4, numReturnSequences: 3, earlyStopping: false }],
  ["sampling three answers", { numBeams: 1, doSample: true, seed: 4, numReturnSequences: 3 }],
  ["beam sampling", { numBeams: 3, doSample: true, seed: 4, numReturnSequences: 2 }],
];

describe.each(strategies)("%s", (_, strategy) => {
  const options = { ...strategy, maxNewTokens: 25 };
  const images = [0, 1, 2, 3, 4];

  test("an image's answers are the same alone and in a batch", async () => {
    const together = await generate(made(images), images.length, settingsFor(options));
    const lengths = new Set(together.map(([best]) => best!.tokens.length));
    expect(lengths.size).toBeGreaterThan(1);
    for (const image of images) {
      const [alone] = await generate(made([image]), 1, settingsFor(options));
      expect(together[image]).toEqual(alone);
    }
  });

  test("what is streamed adds up to the answers, each token once", async () => {
    const { reports, answers } = await collect(made(images), images.length, options);
    const decided: DecidedTokens[] = reports.flatMap((report) => report.decided);
    for (const [image, sequences] of answers.entries()) {
      for (const [sequence, { tokens }] of sequences.entries()) {
        const pieces = decided.filter((piece) => piece.image === image && piece.sequence === sequence);
        expect([EOS, ...pieces.flatMap((piece) => piece.tokens)]).toEqual(tokens);
      }
    }
    expect(decided.every(({ tokens }) => tokens.length > 0)).toBe(true);
    expect(decided.length).toBeGreaterThan(answers.flat().length);
    expect(reports.map(({ step }) => step)).toEqual([...reports.keys()]);
    expect(reports.at(-1)!.running).toBe(0);
    expect(answers).toEqual(await generate(made(images), images.length, settingsFor(options)));
  });

  test("an abort before a step, or during it, ends the run with the signal's reason", async () => {
    for (const abortAt of [-1, 0, 3]) {
      const controller = new AbortController();
      const reason = new Error(`no longer needed at ${abortAt}`);
      if (abortAt < 0) controller.abort(reason);
      const positions: number[] = [];
      const step = watched(made([0]), (_logits, position) => {
        positions.push(position);
        if (position === abortAt) controller.abort(reason);
      });
      const settings = settingsFor({ ...options, minNewTokens: 10, signal: controller.signal });
      await expect(generate(step, 1, settings)).rejects.toBe(reason);
      expect(positions.length).toBe(abortAt + 1);
    }
    const late = new AbortController();
    const answers = await generate(made([0]), 1, settingsFor({ ...options, signal: late.signal }));
    late.abort();
    expect(answers).toEqual(await generate(made([0]), 1, settingsFor(options)));
  });

  test.each([NaN, Infinity, -Infinity])("a logit of %s is an error that names the step", async (broken) => {
    const step = watched(made([0, 1]), (logits, position) => {
      if (position === 2) logits[logits.length / 2 + 7] = broken;
    });
    const settings = settingsFor({ ...options, minNewTokens: 10 });
    const failure = await generate(step, 2, settings).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Florence2Error);
    expect(failure).toMatchObject({
      code: "non_finite",
      message: expect.stringContaining(`step 2, image 1: the logit of token 7 is ${broken}`),
      details: { step: 2, image: 1, token: 7 },
    });
  });

  test("what onStep throws or rejects with ends the run, and the next run is sound", async () => {
    const reason = new Error("the listener broke");
    const throwing = {
      ...options,
      onStep: () => {
        throw reason;
      },
    };
    const rejecting = { ...options, onStep: () => Promise.reject(reason) };
    await expect(generate(made([0]), 1, settingsFor(throwing))).rejects.toBe(reason);
    await expect(generate(made([0]), 1, settingsFor(rejecting))).rejects.toBe(reason);
    const onStep = vi.fn();
    const answers = await generate(made([0]), 1, settingsFor({ ...options, onStep }));
    expect(answers).toEqual(await generate(made([0]), 1, settingsFor(options)));
    expect(onStep.mock.calls.length).toBeGreaterThan(1);
    expect(onStep.mock.calls[1]![0]).toMatchObject({ step: 1, maxSteps: 25, running: 1 });
  });
});

test("each step awaits a slow onStep", async () => {
  let busy = false;
  const step = watched(made([0]), () => expect(busy).toBe(false));
  const onStep = async () => {
    busy = true;
    await new Promise((resolve) => setTimeout(resolve, 2));
    busy = false;
  };
  await generate(step, 1, settingsFor({ maxNewTokens: 5, minNewTokens: 5, onStep }));
});

test("rows continue rows of their own image, at positions one after the other", async () => {
  const seen: { tokens: number[]; parents: number[]; position: number }[] = [];
  const inner = made([0, 1]);
  const step: DecoderStep = async (tokens, parents, position) => {
    seen.push({ tokens: [...tokens], parents: [...parents], position });
    return inner(tokens, parents, position);
  };
  await generate(step, 2, settingsFor({ numBeams: 3, maxNewTokens: 12, minNewTokens: 12 }));
  expect(seen[0]).toEqual({ tokens: Array(6).fill(EOS), parents: [0, 1, 2, 3, 4, 5], position: 0 });
  expect(seen.map(({ position }) => position)).toEqual([...Array(12).keys()]);
  for (const { parents } of seen) {
    expect(parents.every((parent, row) => Math.floor(parent / 3) === Math.floor(row / 3))).toBe(true);
  }
  expect(seen.some(({ parents }) => parents.join() !== "0,1,2,3,4,5")).toBe(true);
});

test("of equal scores greedy search and beam search take the lowest token", async () => {
  const free = { forcedBosTokenId: null, forcedEosTokenId: null, noRepeatNgramSize: 0, maxNewTokens: 1 };
  const equal = constant(1, 0, 0, 1, 1, 1);
  const [greedy] = await generate(equal, 1, settingsFor({ ...free, numBeams: 1 }, 6));
  expect(greedy!.map(({ tokens }) => tokens)).toEqual([[EOS, 0]]);
  const beams = await generate(equal, 1, settingsFor({ ...free, numBeams: 3, numReturnSequences: 3 }, 6));
  expect(beams[0]!.map(({ tokens }) => tokens[1])).toEqual([0, 3, 4]);
});

describe("how an answer ends", () => {
  const never = constant(0, 0, -50, 5, 4, 3);
  const atOnce = constant(0, 0, 50, 0, 0, 0);
  const finish = async (step: DecoderStep, options: GenerationOptions) => {
    const answers = await generate(step, 1, settingsFor({ noRepeatNgramSize: 0, ...options }, 6));
    const answer = answers[0]![0]!;
    return { tokens: answer.tokens, finishReason: answer.finishReason };
  };

  test.each([1, 3])("with %i beams", async (numBeams) => {
    const unforced = { numBeams, forcedBosTokenId: null, forcedEosTokenId: null };
    // The model never ends: cut, with or without a forced end token.
    expect(await finish(never, { ...unforced, maxNewTokens: 4 })).toEqual({
      tokens: [2, 3, 3, 3, 3],
      finishReason: "length",
    });
    expect(await finish(never, { numBeams, maxNewTokens: 4 })).toEqual({
      tokens: [2, 0, 3, 3, 2],
      finishReason: "length",
    });
    // It ends at once: an empty answer is an answer.
    expect(await finish(atOnce, { ...unforced, maxNewTokens: 4 })).toEqual({
      tokens: [2, 2],
      finishReason: "stop",
    });
    // It ends by itself at the very last token.
    expect(await finish(atOnce, { ...unforced, maxNewTokens: 3, minNewTokens: 2 })).toMatchObject({
      finishReason: "stop",
    });
    // Nothing but padding tokens is an answer too.
    expect(await finish(constant(0, 9, 0, 0, 0, 0), { ...unforced, maxNewTokens: 3 })).toEqual({
      tokens: [2, 1, 1, 1],
      finishReason: "length",
    });
  });

  test("with a block of three, <s> comes three times at most, as in the checkpoints' answers", async () => {
    const step = constant(9, 0, 0, 1, 0, 0);
    const [answer] = (await generate(step, 1, settingsFor({ numBeams: 1, maxNewTokens: 6 }, 6)))[0]!;
    expect(answer!.tokens).toEqual([2, 0, 0, 0, 3, 0, 2]);
  });
});

test("rules that leave no token are an error, not a token out of thin air", async () => {
  for (const numBeams of [1, 2]) {
    const settings = settingsFor({ numBeams, noRepeatNgramSize: 1, maxNewTokens: 10 }, 4);
    await expect(generate(constant(0, 0, 0, 0), 1, settings)).rejects.toMatchObject({
      code: "option_invalid",
      details: { step: 3 },
    });
  }
});

test("fewer answers than asked for come back when there are no more", async () => {
  const settings = settingsFor({ numBeams: 3, numReturnSequences: 3, maxNewTokens: 2 });
  const [answers] = await generate(made([0]), 1, settings);
  expect(answers!.map(({ tokens }) => tokens)).toEqual([[EOS, 0, EOS]]);
  expect(answers![0]!.score).toBe(0);
});

test.each([1, 3, 32])("with %i beams, a step over base's vocabulary takes three kernel calls", (numBeams) => {
  const search = new Search(new CpuRunner(), 1, settingsFor({ numBeams }, 51289));
  search.reserve(8);
  const rec = new Recording();
  search.record(rec, rec.temp([numBeams, 51289]));
  expect(rec.dispatches.map(({ kernel }) => kernel.name).sort()).toEqual([
    "log_sum_exp",
    "rank_tokens",
    "search_step",
  ]);
});

describe("options", () => {
  test("what is left out comes from the checkpoint, then from Florence-2's own settings", () => {
    expect(settingsFor({})).toMatchObject({
      numBeams: 3,
      earlyStopping: true,
      noRepeatNgramSize: 3,
      forcedBosTokenId: 0,
      forcedEosTokenId: 2,
      maxNewTokens: 1024,
      rowsPerImage: 3,
    });
    expect(settingsFor({}, 50, 4096).maxNewTokens).toBe(1024);
    expect(settingsFor({}, 50, 64).maxNewTokens).toBe(64);
    const model = { vocabSize: 50, maxPositions: 64, decoderStartTokenId: EOS, eosTokenId: EOS };
    const defaults = { numBeams: 5, forcedBosTokenId: null };
    const settings = generationSettings({ numBeams: undefined, lengthPenalty: 2 }, { ...model, defaults });
    expect(settings).toMatchObject({ numBeams: 5, forcedBosTokenId: null, lengthPenalty: 2 });
    expect(settingsFor({ numBeams: 1, doSample: true, numReturnSequences: 4 }).rowsPerImage).toBe(4);
  });

  test("frozen options are taken and never changed", () => {
    const options = Object.freeze({ numBeams: 2, seed: 1 });
    expect(settingsFor(options)).toMatchObject(options);
  });

  test.each<[string, unknown, string]>([
    ["maxNewTokens", 0, "maxNewTokens is 0; allowed is an integer from 1 to 1024"],
    ["maxNewTokens", -1, "maxNewTokens is -1; allowed"],
    ["maxNewTokens", NaN, "maxNewTokens is NaN; allowed"],
    ["maxNewTokens", Infinity, "maxNewTokens is Infinity; allowed"],
    ["maxNewTokens", "10", 'maxNewTokens is "10"; allowed'],
    ["maxNewTokens", 1025, "maxNewTokens is 1025; allowed"],
    ["minNewTokens", -1, "minNewTokens is -1; allowed is an integer from 0 to 1024"],
    ["numBeams", 0, "numBeams is 0; allowed is an integer from 1 to 32"],
    ["numBeams", 2.5, "numBeams is 2.5; allowed"],
    ["numBeams", 1000, "numBeams is 1000; allowed"],
    ["numBeams", null, "numBeams is null; allowed"],
    ["doSample", 1, "doSample is 1; allowed is true or false"],
    ["temperature", 0, "temperature is 0; allowed is a number from 0.0001 to 10000"],
    ["temperature", NaN, "temperature is NaN; allowed"],
    ["topK", -1, "topK is -1; allowed"],
    ["topP", 1.5, "topP is 1.5; allowed is a number from 0 to 1"],
    ["seed", -1, "seed is -1; allowed"],
    ["seed", 0.5, "seed is 0.5; allowed"],
    ["noRepeatNgramSize", 1.5, "noRepeatNgramSize is 1.5; allowed"],
    ["repetitionPenalty", 0, "repetitionPenalty is 0; allowed"],
    ["forcedBosTokenId", 50, "forcedBosTokenId is 50; allowed is null or an integer from 0 to 49"],
    ["forcedEosTokenId", -1, "forcedEosTokenId is -1; allowed"],
    ["earlyStopping", "always", 'earlyStopping is "always"; allowed is true or false or "never"'],
    ["lengthPenalty", Infinity, "lengthPenalty is Infinity; allowed is a number from -10 to 10"],
    ["numReturnSequences", 4, "numReturnSequences is 4; allowed is an integer from 1 to 3"],
    ["numReturnSequences", {}, "numReturnSequences is {}; allowed"],
    ["topK", 5n, "topK is 5; allowed is an integer"],
    ["signal", "stop", 'signal is "stop"; allowed is an AbortSignal'],
    ["signal", null, "signal is null; allowed is an AbortSignal"],
    ["onStep", 3, "onStep is 3; allowed is a function"],
  ])("%s %s is refused", (option, value, message) => {
    const attempt = () => settingsFor({ [option]: value } as GenerationOptions);
    expect(attempt).toThrow(Florence2Error);
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(expect.objectContaining({ code: "option_invalid" }));
  });

  test("greedy search has one answer, and a minimum cannot exceed the maximum", () => {
    expect(() => settingsFor({ numBeams: 1, numReturnSequences: 2 })).toThrow("an integer from 1 to 1");
    expect(() => settingsFor({ maxNewTokens: 5, minNewTokens: 6 })).toThrow("an integer from 0 to 5");
  });

  test.each([0, -1, 1.5, NaN, "2"])("a batch of %s is refused", async (batch) => {
    const attempt = generate(made([0]), batch as number, settingsFor({}));
    await expect(attempt).rejects.toMatchObject({ code: "option_invalid", details: { option: "batch" } });
  });

  test("a decoder of another size is refused", async () => {
    const attempt = generate(constant(0, 0, 0), 1, settingsFor({}));
    await expect(attempt).rejects.toMatchObject({ code: "shape_mismatch" });
  });
});
