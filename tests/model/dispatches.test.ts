/** How many kernel calls the base model takes: on a large GPU each costs more than most of the arithmetic in it. */
import { beforeAll, describe, expect, it } from "vitest";
import { Recording } from "../../core/recording.ts";
import type { Dtype } from "../../core/tensor.ts";
import type { JsonValue } from "../../files/json.ts";
import { crossKeysValues, decodeStep, encode } from "../../model/bart.ts";
import { type Florence2Config, parseConfig } from "../../model/config/config.ts";
import { visionTower } from "../../model/davit.ts";
import { generationSettings } from "../../model/generation/options.ts";
import { Search } from "../../model/generation/search.ts";
import { projectImage } from "../../model/projector.ts";
import { loadWeights, type Weights } from "../../model/weights/load_weights.ts";
import { emptyCheckpoint } from "../support/empty_checkpoint.ts";
import { modelFixture } from "../support/parity_model.ts";
import { PlanningRunner } from "../support/planning_runner.ts";

const SIDE = 768;
const PROMPT = 10;

describe("dispatches of the base model on any device", () => {
  let config: Florence2Config;
  let weights: Weights;
  const runner = new PlanningRunner();
  const input = (shape: number[], dtype?: Dtype) => runner.zeros("input", shape, dtype);
  const byKernel = (rec: Recording) => {
    const counts: Record<string, number> = {};
    for (const { kernel } of rec.dispatches) counts[kernel.name] = (counts[kernel.name] ?? 0) + 1;
    return counts;
  };

  beforeAll(async () => {
    config = parseConfig(modelFixture<JsonValue>("base.config.json"));
    weights = await loadWeights(emptyCheckpoint(config), config, runner);
  });

  it("are at most 210 from pixels to the keys and values of cross-attention", () => {
    const rec = new Recording();
    const map = visionTower(
      rec,
      weights.vision,
      { x: input([SIDE * SIDE, 4]), height: SIDE, width: SIDE },
      config.vision,
    );
    const image = projectImage(rec, weights.projector, map, config.projection.imageFeatureSource);
    const prompt = input([PROMPT], "u32");
    const encoded = encode(rec, weights.text, image, prompt, input([1], "u32"), config.text);
    const cross = input([config.text.decoderLayers, 640, 2 * config.text.dModel]);
    crossKeysValues(rec, weights.text, encoded, cross, 0);
    console.log(`${rec.dispatches.length} dispatches from pixels to cross keys and values`, byKernel(rec));
    expect(rec.dispatches.length).toBeLessThanOrEqual(210);
  });

  it.each([1, 3])("are at most 51 a decoding step with %i beams, of which 4 select tokens", (numBeams) => {
    const { text, tokens } = config;
    const settings = generationSettings(
      { numBeams },
      {
        vocabSize: text.vocabSize,
        maxPositions: text.maxPositionEmbeddings,
        decoderStartTokenId: tokens.decoderStart,
        eosTokenId: tokens.eos,
      },
    );
    const search = new Search(runner, 1, settings);
    const steps = 64;
    search.reserve(steps);
    const state = {
      tokens: search.tokens,
      position: search.position,
      ancestry: search.ancestry,
      lengths: input([1], "u32"),
      layers: weights.text.decoder.layers.map(() => ({
        keys: input([steps, numBeams, text.dModel]),
        values: input([steps, numBeams, text.dModel]),
        cross: input([1, 640, 2 * text.dModel]),
      })),
    };
    const rec = new Recording();
    const logits = decodeStep(rec, weights.text, state, text);
    const model = rec.dispatches.length;
    search.record(rec, logits);
    console.log(`${rec.dispatches.length} dispatches a decoding step, ${numBeams} beams`, byKernel(rec));
    expect(rec.dispatches.length).toBeLessThanOrEqual(51);
    expect(rec.dispatches.length - model).toBeLessThanOrEqual(4);
  });
});
