import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { CpuRunner } from "../../core/cpu/cpu_runner.ts";
import type { GpuRunner } from "../../core/gpu/gpu_runner.ts";
import type { Runner } from "../../core/runner.ts";
import type { Tensor } from "../../core/tensor.ts";
import { DecodingSession } from "../../model/decoding_session.ts";
import { generate } from "../../model/generation/generate.ts";
import { type GenerationSettings, generationSettings } from "../../model/generation/options.ts";
import { pixelsOfPlanes } from "../../model/image/preprocess.ts";
import { VisionSession } from "../../model/vision_session.ts";
import { gpuMissing, openTestGpu } from "../support/gpu.ts";
import { modelFixture, openParityModel, type ParityModel, parityPixels } from "../support/parity_model.ts";

interface DecodingFixture {
  readonly side: number;
  readonly forced_bos_token_id: number;
  readonly cases: readonly DecodingCase[];
}

interface DecodingCase {
  readonly picture: string;
  readonly input_ids: number[];
  readonly options: {
    readonly num_beams: number;
    readonly early_stopping?: boolean | "never";
    readonly length_penalty?: number;
    readonly eos_token_id: number;
    readonly no_repeat_ngram_size: number;
    readonly max_new_tokens: number;
    readonly min_new_tokens: number;
    readonly repetition_penalty: number;
    readonly num_return_sequences: number;
  };
  readonly sequences: readonly { ids: number[]; score?: number; logprobs: number[] }[];
}

const { side, forced_bos_token_id, cases } = modelFixture<DecodingFixture>("tiny.decoding.json");
/** The bar for sequence scores: absolute for small ones, relative for large ones. */
const SCORE_TOLERANCE = 1e-4;
/** Log-probabilities of single tokens come from logits around 20, of which single precision is 2e-4 here. */
const LOG_PROB_TOLERANCE = 3e-4;

/** The GPU is software in CI. A third of the cases has every value of every option, and every picture. */
const third = cases.filter((_, i) => i % 3 === 0);
const runners: [string, string | undefined, () => Promise<Runner>, readonly DecodingCase[]][] = [
  ["CPU's twins", undefined, async () => new CpuRunner(), cases],
  ["CPU engine", undefined, () => CpuRunner.open(), cases],
  ["GPU", gpuMissing, () => openTestGpu(), third],
];

for (const [name, missing, open, chosen] of runners) {
  describe.skipIf(missing)(
    `${chosen.length} answers of the tiny model on the ${name}, against transformers' generate`,
    () => {
      let runner: Runner;
      let parity: ParityModel;
      let vision: VisionSession;
      const pictures = new Map<string, Tensor>();

      beforeAll(async () => {
        runner = await open();
        parity = await openParityModel("tiny", side, runner);
        vision = await VisionSession.open(runner, parity.weights, parity.config, parity.imageConfig);
        for (const { picture } of chosen) {
          if (!pictures.has(picture))
            pictures.set(picture, await vision.encode(pixelsOfPlanes(parityPixels(picture, side))));
        }
      });
      afterAll(() => parity.model.dispose());

      const settingsOf = ({ options }: DecodingCase): GenerationSettings =>
        generationSettings(
          {
            numBeams: options.num_beams,
            earlyStopping: options.early_stopping,
            lengthPenalty: options.length_penalty,
            noRepeatNgramSize: options.no_repeat_ngram_size,
            maxNewTokens: options.max_new_tokens,
            minNewTokens: options.min_new_tokens,
            repetitionPenalty: options.repetition_penalty,
            numReturnSequences: options.num_return_sequences,
            forcedBosTokenId: forced_bos_token_id,
            forcedEosTokenId: options.eos_token_id,
          },
          {
            vocabSize: parity.config.text.vocabSize,
            maxPositions: parity.config.text.maxPositionEmbeddings,
            decoderStartTokenId: parity.config.tokens.decoderStart,
            eosTokenId: options.eos_token_id,
          },
        );

      const answer = async (picked: readonly DecodingCase[], settings: GenerationSettings) => {
        const questions = picked.map((one) => ({
          image: pictures.get(one.picture)!,
          promptIds: one.input_ids,
        }));
        const { text } = parity.weights;
        const session = await DecodingSession.open(runner, text, parity.config.text, questions, settings);
        try {
          return await generate(session, questions.length, settings);
        } finally {
          session.dispose();
        }
      };

      const beams = [...new Set(chosen.map(({ options }) => options.num_beams))].sort();
      it.each(beams)("with %i beams", async (numBeams) => {
        for (const one of chosen.filter(({ options }) => options.num_beams === numBeams)) {
          const [sequences] = await answer([one], settingsOf(one));
          expect(sequences!.map(({ tokens }) => tokens)).toEqual(one.sequences.map(({ ids }) => ids));
          for (const [i, { score, logprobs }] of one.sequences.entries()) {
            const found = sequences![i]!;
            if (score !== undefined) {
              expect(Math.abs(found.score - score)).toBeLessThan(
                SCORE_TOLERANCE * Math.max(1, Math.abs(score)),
              );
            }
            const errors = logprobs.map((logProb, t) => Math.abs(found.logProbs[t]! - logProb));
            expect(Math.max(...errors)).toBeLessThan(LOG_PROB_TOLERANCE);
          }
        }
      });

      it("in batches of different pictures and prompts as alone", async () => {
        const picked = chosen.filter(({ options }) => options.num_beams === 3).slice(0, 4);
        const settings = settingsOf(picked[0]!);
        const together = await answer(picked, settings);
        for (const [i, one] of picked.entries()) {
          const [alone] = await answer([one], settings);
          expect(together[i]!.map(({ tokens }) => tokens)).toEqual(alone!.map(({ tokens }) => tokens));
        }
      });
    },
  );
}

describe.skipIf(gpuMissing)("the decoding loop on the GPU", () => {
  it.each([1, 3])(
    "with %i beams submits and reads once for eight tokens after the first two, no more than asked for, and creates nothing",
    async (numBeams) => {
      const gpu: GpuRunner = await openTestGpu();
      const { weights, config, model } = await openParityModel("tiny", side, gpu);
      const settings = generationSettings(
        { numBeams, minNewTokens: 21, maxNewTokens: 21 },
        {
          vocabSize: config.text.vocabSize,
          maxPositions: config.text.maxPositionEmbeddings,
          decoderStartTokenId: config.tokens.decoderStart,
          eosTokenId: config.tokens.eos,
        },
      );
      const image = gpu.zeros("picture", [3, config.text.dModel]);
      const question = { image, promptIds: [5, 6] };
      const session = await DecodingSession.open(gpu, weights.text, config.text, [question], settings);
      expect((await session.advance()).length).toBe(2);
      const { device } = gpu;
      const created = (["createBuffer", "createBindGroup", "createComputePipelineAsync"] as const).map(
        (name) => vi.spyOn(device, name),
      );
      const submit = vi.spyOn(device.queue, "submit");
      expect((await session.advance()).length).toBe(8);
      expect((await session.advance()).length).toBe(8);
      expect(created.map(({ mock }) => mock.calls.length)).toEqual([0, 0, 0]);
      // For each eight tokens, one submission with the steps and one with the copy that is read back.
      expect(submit.mock.calls.length).toBe(4);
      expect((await session.advance()).length).toBe(3);
      session.dispose();
      model.dispose();
    },
  );
});
