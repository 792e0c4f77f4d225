import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CpuRunner } from "../../core/cpu/cpu_runner.ts";
import type { Runner } from "../../core/runner.ts";
import { relativeL2 } from "../support/close.ts";
import { gpuMissing, openTestGpu } from "../support/gpu.ts";
import {
  modelFixture,
  openParityModel,
  type ParityModel,
  parityPixels,
  tensorFixture,
} from "../support/parity_model.ts";

interface TinyFixture {
  readonly side: number;
  readonly picture: string;
  readonly input_ids: number[];
  readonly decoder_ids: number[];
  readonly taps: Record<string, number[]>;
  readonly batch: { picture: string; input_ids: number[]; decoder_ids: number[] }[];
}

/** The bar for every stage: single precision, summed in another order. */
const TOLERANCE = 1e-5;

const tiny = modelFixture<TinyFixture>("tiny.json");
const runners: [string, string | undefined, () => Promise<Runner>][] = [
  ["CPU's twins", undefined, async () => new CpuRunner()],
  ["CPU engine", undefined, () => CpuRunner.open()],
  ["CPU engine with fresh memory poisoned", undefined, () => CpuRunner.open({ debug: true })],
  ["GPU", gpuMissing, () => openTestGpu()],
  ["GPU with fresh memory poisoned", gpuMissing, () => openTestGpu({ debug: true })],
  ["GPU in bands of 16 KiB", gpuMissing, inBands],
];

/** A GPU that pretends to bind little, so that whatever can be large is cut into bands. */
async function inBands(): Promise<Runner> {
  const gpu = await openTestGpu();
  return Object.assign(gpu, { profile: { ...gpu.profile, maxBandBytes: 16 * 1024 } });
}

for (const [name, missing, open] of runners) {
  describe.skipIf(missing)(`the tiny model on the ${name}, against transformers`, () => {
    let parity: ParityModel;
    beforeAll(async () => {
      parity = await openParityModel("tiny", tiny.side, await open());
    });
    afterAll(() => parity.model.dispose());

    it("agrees at every stage", async () => {
      const expected = await tensorFixture("tiny.safetensors");
      const { taps, logits } = await parity.model.forward({
        pixelValues: parityPixels(tiny.picture, tiny.side),
        inputIds: [tiny.input_ids],
        decoderInputIds: [tiny.decoder_ids],
        taps: () => true,
      });
      const stages = Object.keys(tiny.taps);
      const errors = stages.map((stage) => ({
        stage,
        error: relativeL2(taps[0]!.get(stage) ?? [], expected.get(stage)!),
      }));
      const worst = errors.reduce((a, b) => (b.error > a.error ? b : a));
      console.log(
        `tiny on the ${name}: largest relative error ${worst.error.toExponential(1)}, at ${worst.stage}`,
      );
      // In the order of computation: the first in the list is the first to blame.
      const bad = errors.filter(({ error }) => !(error <= TOLERANCE));
      expect(bad, `the first stage that differs is ${bad[0]?.stage}`).toEqual([]);
      expect(logits).toEqual(taps[0]!.get("logits"));
    });

    it("agrees for several pictures with prompts of different lengths", async () => {
      const expected = await tensorFixture("tiny.safetensors");
      const pixelValues = new Float32Array(tiny.batch.length * 3 * tiny.side ** 2);
      for (const [i, { picture }] of tiny.batch.entries()) {
        pixelValues.set(parityPixels(picture, tiny.side), i * 3 * tiny.side ** 2);
      }
      const { logits, shape, taps } = await parity.model.forward({
        pixelValues,
        inputIds: tiny.batch.map(({ input_ids }) => input_ids),
        decoderInputIds: tiny.batch.map(({ decoder_ids }) => decoder_ids),
        taps: (stage) => stage === "encoder.layer1",
      });
      const [B, T, V] = shape;
      expect(B).toBe(2);
      for (let b = 0; b < B; b++) {
        expect(relativeL2(taps[b]!.get("encoder.layer1")!, expected.get(`batch.${b}.encoder`)!)).toBeLessThan(
          TOLERANCE,
        );
        const own = logits.subarray(b * T * V, (b + 1) * T * V);
        expect(relativeL2(own, expected.get(`batch.${b}.logits`)!)).toBeLessThan(TOLERANCE);
      }
    });
  });
}
