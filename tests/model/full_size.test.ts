/**
 * Full-size models on a photograph, against transformers: base in every run, large with
 * FLORENCE2_TEST_LARGE=1 (some minutes and 4 GB of memory more). They run on the CPU engine; the GPU, which is software
 * in CI, sees the photograph through the first stage of base.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CpuRunner } from "../../core/cpu/cpu_runner.ts";
import { narrowToFloat16, widenFloat16 } from "../../core/dtypes/float16.ts";
import { Recording } from "../../core/recording.ts";
import type { Runner } from "../../core/runner.ts";
import type { TensorData } from "../../core/tensor.ts";
import { parityCheckpoint, withValues } from "../../measure/generated/parity_weights.ts";
import type { Florence2Config } from "../../model/config/config.ts";
import { visionTower } from "../../model/davit.ts";
import { DecodingSession } from "../../model/decoding_session.ts";
import type { ForwardOutput } from "../../model/forward.ts";
import { generate } from "../../model/generation/generate.ts";
import { generationSettings } from "../../model/generation/options.ts";
import { PIXEL_CHANNELS, pixelsOfPlanes, preprocessImage } from "../../model/image/preprocess.ts";
import { relativeL2 } from "../support/close.ts";
import { gpuMissing, openTestGpu } from "../support/gpu.ts";
import { modelFixture, openParityModel, type ParityModel, tensorFixture } from "../support/parity_model.ts";

interface FullSizeFixture {
  readonly picture: string;
  readonly side: number;
  readonly input_ids: number[];
  readonly decoder_ids: number[];
  /** Of each stage its shape and its norm; the fixture's tensors hold samples of it. */
  readonly taps: Record<string, { shape: number[]; norm: number }>;
  readonly logits: { norm: number; top_ids: number[]; top: number[] }[];
  readonly runs: Record<
    string,
    { input_ids: number[]; greedy: { ids: number[] }; beams: { ids: number[]; score: number } }
  >;
}

/** The bar of every stage, as a share of its norm. */
const TOLERANCE = 2e-5;
/** The same weights give the same numbers, however they are held, but for the order of sums where shaders differ. */
const TOLERANCE_F16 = 1e-5;
const SCORE_TOLERANCE = 1e-4;
/** Of each step's logits the fixture holds this many. */
const LOGIT_SAMPLES = 2048;

const sizes: [string, string | undefined][] = [
  ["base", undefined],
  ["large", process.env.FLORENCE2_TEST_LARGE ? undefined : "set FLORENCE2_TEST_LARGE=1"],
];

for (const [name, missing] of sizes) {
  describe.skipIf(missing)(
    `Florence-2-${name} on the CPU engine at 768 x 768 pixels, against transformers${missing ? ` (${missing})` : ""}`,
    () => {
      let runner: Runner;
      let parity: ParityModel;
      let fixture: FullSizeFixture;
      let samples: Map<string, Float32Array>;
      let pixelValues: Float32Array;
      let output: ForwardOutput;

      beforeAll(async () => {
        fixture = modelFixture<FullSizeFixture>(`${name}.json`);
        samples = await tensorFixture(`${name}.safetensors`);
        runner = await CpuRunner.open();
        parity = await openParityModel(name, fixture.side, runner);
        pixelValues = await planesOf(fixture, parity);
        output = await parity.model.forward({
          pixelValues,
          inputIds: fixture.input_ids,
          decoderInputIds: fixture.decoder_ids,
          taps: () => true,
        });
      });
      afterAll(() => parity?.model.dispose());

      it("agrees at every stage and at the logits of every step", async () => {
        const { taps, logits, shape } = output;
        const errors = stageErrors(fixture, samples, new Map([["pixel_values", pixelValues], ...taps[0]!]));
        const worst = errors.reduce((a, b) => (b.error > a.error ? b : a));
        console.log(`${name}: largest relative error ${worst.error.toExponential(1)}, at ${worst.stage}`);
        // In the order of computation, so that the first in the list is the first to blame.
        expect(errors.filter(({ error, norm }) => !(error <= TOLERANCE && norm <= TOLERANCE))).toEqual([]);

        const V = shape[2];
        const steps = fixture.logits.map(({ norm, top_ids }, t) => {
          const row = logits.subarray(t * V, (t + 1) * V);
          const best = top_ids.slice().sort((a, b) => row[b]! - row[a]!);
          expect(best[0], `step ${t}`).toBe(top_ids[0]);
          return {
            t,
            error: sampledError(
              row,
              samples.get("logits")!.subarray(t * LOGIT_SAMPLES, (t + 1) * LOGIT_SAMPLES),
            ),
            norm: Math.abs(normOf(row) / norm - 1),
          };
        });
        expect(steps.filter(({ error, norm }) => !(error <= TOLERANCE && norm <= TOLERANCE))).toEqual([]);
      });

      // Large would take minutes more, and has no shader that base has not.
      it.skipIf(name === "large")(
        "agrees in half precision, file and device, with itself in single",
        async () => {
          const stagesIn = async (dtype: "f16" | "f32") => {
            const checkpointOf = (config: Florence2Config) => withValues(parityCheckpoint(config), asFloat16);
            const own = await CpuRunner.open();
            const { model } = await openParityModel(name, fixture.side, own, { dtype, checkpointOf });
            const { input_ids: inputIds, decoder_ids: decoderInputIds } = fixture;
            const { taps } = await model.forward({
              pixelValues,
              inputIds,
              decoderInputIds,
              taps: () => true,
            });
            model.dispose();
            return taps[0]!;
          };
          const [half, whole] = [await stagesIn("f16"), await stagesIn("f32")];
          const errors = [...whole].map(([stage, values]) => ({
            stage,
            error: relativeL2(half.get(stage)!, values),
          }));
          expect(errors.filter(({ error }) => !(error <= TOLERANCE_F16))).toEqual([]);

          const rounded = stageErrors(fixture, samples, new Map([["pixel_values", pixelValues], ...half]));
          const worst = rounded.reduce((a, b) => (b.error > a.error ? b : a));
          console.log(
            `${name} in f16: at most ${Math.max(...errors.map(({ error }) => error)).toExponential(1)} from the same weights in f32; what rounding them costs: ${worst.error.toExponential(1)}, at ${worst.stage}`,
          );
          // Without these traces, nothing was in half precision.
          expect(worst.error).toBeGreaterThan(TOLERANCE);
        },
      );

      it("generates the same tokens, greedily and with 3 beams", async () => {
        const { config, weights } = parity;
        const { shape } = fixture.taps.projector!;
        const image = runner.upload("picture tokens", shape, output.taps[0]!.get("projector")!);
        for (const { input_ids: promptIds, greedy, beams } of Object.values(fixture.runs)) {
          for (const [numBeams, expected] of [
            [1, greedy],
            [3, beams],
          ] as const) {
            const settings = generationSettings(
              { numBeams, maxNewTokens: 20 },
              {
                vocabSize: config.text.vocabSize,
                maxPositions: config.text.maxPositionEmbeddings,
                decoderStartTokenId: config.tokens.decoderStart,
                eosTokenId: config.tokens.eos,
              },
            );
            const session = await DecodingSession.open(
              runner,
              weights.text,
              config.text,
              [{ image, promptIds }],
              settings,
            );
            const [[sequence] = []] = await generate(session, 1, settings);
            session.dispose();
            expect(sequence!.tokens).toEqual(expected.ids);
            if ("score" in expected)
              expect(Math.abs(sequence!.score - expected.score)).toBeLessThan(SCORE_TOLERANCE);
          }
        }
      });
    },
  );
}

describe.skipIf(gpuMissing)("Florence-2-base on the GPU", () => {
  it("agrees at the first stage of the vision tower", async () => {
    const fixture = modelFixture<FullSizeFixture>("base.json");
    const samples = await tensorFixture("base.safetensors");
    const runner = await openTestGpu();
    try {
      const parity = await openParityModel("base", fixture.side, runner);
      const { side: height, side: width } = fixture;
      const pixels = runner.upload(
        "pixels",
        [height * width, PIXEL_CHANNELS],
        pixelsOfPlanes(await planesOf(fixture, parity)),
      );
      const rec = new Recording({ profile: runner.profile, taps: () => true });
      const stages = parity.weights.vision.slice(0, 1);
      visionTower(rec, stages, { x: pixels, height, width }, parity.config.vision);
      await (await runner.prepare(rec)).run();
      const found = new Map<string, TensorData>();
      for (const [stage, tensor] of rec.taps) found.set(stage, await runner.read(tensor));
      const taps = Object.fromEntries(Object.entries(fixture.taps).filter(([stage]) => found.has(stage)));
      expect(Object.keys(taps).length).toBe(found.size);
      expect(found.size).toBe(3);
      const errors = stageErrors({ ...fixture, taps }, samples, found);
      expect(errors.filter(({ error, norm }) => !(error <= TOLERANCE && norm <= TOLERANCE))).toEqual([]);
    } finally {
      runner.dispose();
    }
  });
});

async function planesOf({ picture }: FullSizeFixture, { imageConfig }: ParityModel): Promise<Float32Array> {
  const photograph = new URL(`../fixtures/pictures/${picture}`, import.meta.url);
  return (await preprocessImage(photograph, imageConfig)).pixelValues;
}

function asFloat16(_: string, values: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const halves = new Uint16Array(values.length);
  narrowToFloat16(values, halves);
  const rounded = new Float32Array(values.length);
  widenFloat16(halves, rounded);
  return rounded;
}

/** How far each stage is from the reference, in the order of computation: at the fixture's samples, and in its norm. */
function stageErrors(
  fixture: FullSizeFixture,
  samples: ReadonlyMap<string, Float32Array>,
  stages: ReadonlyMap<string, TensorData>,
) {
  return Object.entries(fixture.taps).map(([stage, { shape, norm }]) => {
    const found = stages.get(stage) as Float32Array;
    expect(found.length, stage).toBe(shape.reduce((a, b) => a * b));
    const error = sampledError(found, samples.get(stage)!);
    return { stage, error, norm: Math.abs(normOf(found) / norm - 1) };
  });
}

/** Relative L2 error over the fixture's samples, which are those at the indexes floor(i * size / samples). */
function sampledError(found: Float32Array, samples: Float32Array): number {
  let difference = 0;
  let norm = 0;
  for (const [i, expected] of samples.entries()) {
    difference += (found[Math.floor((i * found.length) / samples.length)]! - expected) ** 2;
    norm += expected ** 2;
  }
  return Math.sqrt(difference / norm);
}

function normOf(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}
