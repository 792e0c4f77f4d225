import { describe, expect, it } from "vitest";
import { CpuRunner } from "../../core/cpu/cpu_runner.ts";
import type { Runner } from "../../core/runner.ts";
import { randomArrays } from "../../measure/generated/random.ts";
import { DecodingSession } from "../../model/decoding_session.ts";
import { settingsFor } from "../../model/generation/options.ts";
import { pixelsOfPlanes } from "../../model/image/preprocess.ts";
import { VisionSession } from "../../model/vision_session.ts";
import { gpuMissing, openTestGpu } from "../support/gpu.ts";
import { openParityModel } from "../support/parity_model.ts";

const SIDE = 64;
const runners: [string, string | undefined, () => Promise<Runner>][] = [
  ["the CPU engine, one thread", undefined, () => CpuRunner.open({ threads: 1, debug: true })],
  ["the CPU engine, three threads", undefined, () => CpuRunner.open({ threads: 3, debug: true })],
  ["the GPU", gpuMissing, openTestGpu],
];

for (const [name, missing, open] of runners) {
  describe.skipIf(missing)(`several images together on ${name}`, () => {
    it("are encoded as alone, bit for bit, and so are the questions about them", async () => {
      const runner = await open();
      const { model, weights, config, imageConfig } = await openParityModel("tiny", SIDE, runner);
      const random = randomArrays(3);
      const pixels = Array.from({ length: 4 }, () =>
        pixelsOfPlanes(random.normal(3, SIDE * SIDE).data as Float32Array),
      );
      const alone = await VisionSession.open(runner, weights, config, imageConfig);
      const together = await VisionSession.open(runner, weights, config, imageConfig, { images: 4 });
      const expected = [];
      for (const one of pixels) expected.push(await alone.encode(one));
      const found = await together.encodeAll(pixels);
      for (const [i, image] of found.entries())
        expect(await runner.read(image)).toEqual(await runner.read(expected[i]!));
      // A second time, on memory that has been used.
      for (const [i, image] of (await together.encodeAll(pixels)).entries())
        expect(await runner.read(image)).toEqual(await runner.read(expected[i]!));

      const settings = settingsFor(config, { numBeams: 2 });
      const questions = found.map((image, i) => ({
        image,
        promptIds: [0, 5, 6 + i, 7, 2].slice(0, 3 + (i % 3)),
      }));
      const openOf = (asked: typeof questions) =>
        DecodingSession.open(runner, weights.text, config.text, asked, settings);
      const tokens = async (asked: typeof questions) => {
        const session = await openOf(asked);
        const logits = await session.feed(new Uint32Array(2 * asked.length).fill(2));
        session.dispose();
        return logits;
      };
      const all = await tokens(questions);
      const size = all.length / questions.length;
      for (const [i, question] of questions.entries()) {
        const one = await tokens([question]);
        const errors = one.map((logit, j) => Math.abs(logit - all[i * size + j]!));
        expect(Math.max(...errors)).toBeLessThan(1e-4);
      }
      await model.dispose();
    });
  });
}
