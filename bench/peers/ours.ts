import { openRunner } from "../../core/device.ts";
import { openFiles } from "../../files/files.ts";
import { DecodingSession } from "../../model/decoding_session.ts";
import { generate } from "../../model/generation/generate.ts";
import { pixelsOfPlanes } from "../../model/image/preprocess.ts";
import { VisionSession } from "../../model/vision_session.ts";
import { loadWeights } from "../../model/weights/load_weights.ts";
import type { WeightsDtype } from "../../model/weights/loader.ts";
import { openCheckpoint } from "../../model/weights/open_checkpoint.ts";
import { type Contestant, captionOf, type PeersDevice, type Question, rulesOf } from "./contestant.ts";

/** This library. Its encoder's part includes the keys and values that all decoder steps read. */
export async function openOurs(
  question: Question,
  { device, dtype }: { readonly device: PeersDevice; readonly dtype: WeightsDtype },
): Promise<Contestant> {
  const { folder, imageConfig, pixelValues, promptIds, threads } = question;
  const pixels = pixelsOfPlanes(pixelValues);
  const { config, settings } = await rulesOf(question);
  const runner = await openRunner(device, { threads, asksForI8: dtype === "q8" });
  const checkpoint = await openCheckpoint(openFiles(folder), config);
  const weights = await loadWeights(checkpoint, config, runner, { dtype });
  await checkpoint.close();
  await runner.settle();
  let vision: VisionSession | undefined;

  const caption = async () => {
    const start = performance.now();
    vision ??= await VisionSession.open(runner, weights, config, imageConfig);
    const image = await vision.encode(pixels);
    const questions = [{ image, promptIds }];
    const session = await DecodingSession.open(runner, weights.text, config.text, questions, settings);
    await runner.settle();
    const seen = performance.now();
    let [first, together] = [0, 0];
    const advance = async () => {
      const steps = await session.advance();
      if (together === 0) [first, together] = [performance.now(), steps.length];
      return steps;
    };
    const [answers] = await generate({ advance }, 1, settings);
    const end = performance.now();
    session.dispose();
    runner.free(image);
    return captionOf(answers![0]!.tokens.slice(1), together, [start, seen, first, end]);
  };
  return { version: runner.name, caption, isRounded: dtype !== "f32" };
}
