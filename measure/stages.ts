/** A model with generated weights beside what transformers computed with the same: the fixtures of a checkout. */
import { existsSync, readFileSync } from "node:fs";
import type { Runner } from "../core/runner.ts";
import { packageFile } from "../files/package_files.ts";
import { openSafetensors } from "../files/tensors/safetensors.ts";
import { parseConfig } from "../model/config/config.ts";
import { RELEASED_IMAGE_CONFIG } from "../model/config/image.ts";
import { DecodingSession } from "../model/decoding_session.ts";
import { Florence2 } from "../model/florence2.ts";
import { generate } from "../model/generation/generate.ts";
import { generationSettings } from "../model/generation/options.ts";
import { preprocessImage } from "../model/image/preprocess.ts";
import { loadWeights } from "../model/weights/load_weights.ts";
import { parityCheckpoint, parityTensor } from "./generated/parity_weights.ts";
import { rulesOf } from "./model.ts";
import { bundledTokenizer } from "./subjects.ts";

export type FixtureName = "tiny" | "base" | "large";

interface Fixture {
  readonly picture: string;
  readonly side: number;
  readonly input_ids: number[];
  readonly decoder_ids: number[];
  /** Stages in the order of computation: of full-size models their shapes and norms, the rest being samples. */
  readonly taps: Readonly<Record<string, number[] | { readonly norm: number; readonly shape: number[] }>>;
  readonly runs?: Readonly<
    Record<
      string,
      { input_ids: number[]; greedy: { ids: number[] }; beams: { ids: number[]; score: number } }
    >
  >;
}

export interface StageError {
  readonly stage: string;
  /** ‖found - expected‖ / ‖expected‖, of full-size models over the samples of the fixture. */
  readonly error: number;
}

export interface TokensCheck {
  readonly run: string;
  readonly search: string;
  /** The first token that differs; -1 if none does. */
  readonly firstDifference: number;
}

const fixture = (name: string) => packageFile(`tests/fixtures/${name}`);

/** Whether this is a checkout, which has the fixtures; the package has not. */
export const hasFixtures = () => existsSync(fixture("model/tiny.json"));

/** Computes all stages of a model in f32, and then the answers that the fixture has, and compares them. */
export async function compareStages(
  name: FixtureName,
  runner: Runner,
  onStage: (error: StageError) => void,
  onTokens: (check: TokensCheck) => void,
): Promise<void> {
  const known = readJson<Fixture>(`model/${name}.json`);
  const config = parseConfig(readJson(`model/${name}.config.json`));
  const imageConfig = { ...RELEASED_IMAGE_CONFIG, width: known.side, height: known.side };
  const weights = await loadWeights(parityCheckpoint(config), config, runner, { dtype: "f32" });
  const model = new Florence2(config, imageConfig, await bundledTokenizer(), runner, weights);
  const isWhole = Array.isArray(Object.values(known.taps)[0]);
  const pixelValues = isWhole
    ? parityTensor(known.picture, [3, known.side, known.side])
    : (await preprocessImage(readFileSync(fixture(`pictures/${known.picture}`)), imageConfig)).pixelValues;
  const { taps } = await model.forward({
    pixelValues,
    inputIds: [known.input_ids],
    decoderInputIds: [known.decoder_ids],
    taps: () => true,
  });
  const stages = taps[0]!;
  const expected = await openSafetensors(fixture(`model/${name}.safetensors`));
  for (const stage of Object.keys(known.taps)) {
    const samples = new Float32Array((await expected.read(stage)).buffer);
    const found = stage === "pixel_values" ? pixelValues : stages.get(stage);
    onStage({ stage, error: found ? sampledError(found, samples) : Number.POSITIVE_INFINITY });
  }
  await expected.close();
  const { projector } = known.taps;
  if (!known.runs || !projector || Array.isArray(projector)) return;

  const image = runner.upload("image tokens", projector.shape, stages.get("projector")!);
  for (const [run, { input_ids: promptIds, greedy, beams }] of Object.entries(known.runs)) {
    for (const [search, numBeams, { ids }] of [
      ["greedy", 1, greedy],
      ["3 beams", 3, beams],
    ] as const) {
      const settings = generationSettings({ numBeams, maxNewTokens: 20 }, rulesOf(config));
      const questions = [{ image, promptIds }];
      const session = await DecodingSession.open(runner, weights.text, config.text, questions, settings);
      const [[sequence] = []] = await generate(session, 1, settings);
      session.dispose();
      const tokens = sequence!.tokens;
      const length = Math.max(ids.length, tokens.length);
      const firstDifference = Array.from({ length }, (_, i) => i).find((i) => ids[i] !== tokens[i]) ?? -1;
      onTokens({ run, search, firstDifference });
    }
  }
}

const readJson = <Content>(name: string): Content =>
  JSON.parse(readFileSync(fixture(name), "utf8")) as Content;

/** Relative L2 error over samples, which are those at the indexes floor(i * size / samples). */
function sampledError(found: Float32Array, samples: Float32Array): number {
  let [difference, norm] = [0, 0];
  for (const [i, expected] of samples.entries()) {
    difference += (found[Math.floor((i * found.length) / samples.length)]! - expected) ** 2;
    norm += expected ** 2;
  }
  return Math.sqrt(difference / norm);
}
