/** How many kernel calls the base model takes: on a large GPU each costs more than most of the arithmetic in it. */
import { beforeAll, describe, expect, it } from "vitest";
import type { JsonValue } from "../core/json.ts";
import { Recording } from "../core/recording.ts";
import type { Runner } from "../core/runner.ts";
import { elementsOf, newTensor } from "../core/tensor.ts";
import { crossKeysValues, decodeStep, encode } from "../model/bart.ts";
import type { FlorenceCheckpoint } from "../model/checkpoint.ts";
import { expectedTensors } from "../model/checkpoint.ts";
import { type Florence2Config, parseConfig } from "../model/config.ts";
import { visionTower } from "../model/davit.ts";
import { projectImage } from "../model/projector.ts";
import { loadWeights, type Weights } from "../model/weights.ts";
import { modelFixture } from "./support/parity_model.ts";

const SIDE = 768;
const PROMPT = 10;

/** Weights of the right shapes and no content, as recordings see them. */
function shapesOfWeights(config: Florence2Config): Promise<Weights> {
  const shapes = expectedTensors(config);
  const checkpoint = {
    layout: "microsoft",
    has: (name: string) => shapes.has(name),
    tensor: (name: string) => ({ shape: shapes.get(name)!, dtype: "F32" }),
    read: async () => new Float32Array(),
    readRows: async (name: string, from: number, to: number) =>
      new Float32Array((to - from) * elementsOf(shapes.get(name)!.slice(1))),
    close: async () => {},
  } as FlorenceCheckpoint;
  const owned = (label: string, shape: readonly number[]) => newTensor(label, shape, "f32", "owned");
  const runner = { zeros: owned, upload: owned, write: () => {}, settle: async () => {} };
  return loadWeights(checkpoint, config, runner as unknown as Runner);
}

describe("dispatches of the base model on any device", () => {
  let config: Florence2Config;
  let weights: Weights;
  const input = (shape: number[], dtype: "f32" | "u32" = "f32") => newTensor("input", shape, dtype, "owned");
  const byKernel = (rec: Recording) => {
    const counts: Record<string, number> = {};
    for (const { kernel } of rec.dispatches) counts[kernel.name] = (counts[kernel.name] ?? 0) + 1;
    return counts;
  };

  beforeAll(async () => {
    config = parseConfig(modelFixture<JsonValue>("base.config.json"));
    weights = await shapesOfWeights(config);
  });

  it("are at most 210 from pixels to the keys and values of cross-attention", () => {
    const rec = new Recording();
    const map = visionTower(rec, weights.vision, input([3, SIDE, SIDE]), config.vision);
    const image = projectImage(rec, weights.projector, map, config.projection.imageFeatureSource);
    const prompt = input([PROMPT], "u32");
    const encoded = encode(rec, weights.text, image, prompt, input([1], "u32"), config.text);
    const cross = input([config.text.decoderLayers, 640, 2 * config.text.dModel]);
    crossKeysValues(rec, weights.text, encoded, cross, 0);
    console.log(`${rec.dispatches.length} dispatches from pixels to cross keys and values`, byKernel(rec));
    expect(rec.dispatches.length).toBeLessThanOrEqual(210);
  });

  it("are at most 47 a decoding step before tokens are selected", () => {
    const rec = new Recording();
    const { dModel, decoderLayers } = config.text;
    const [rows, steps] = [3, 64];
    const layer = {
      keys: input([steps, rows, dModel]),
      values: input([steps, rows, dModel]),
      cross: input([1, 640, 2 * dModel]),
    };
    const state = {
      tokens: input([rows], "u32"),
      position: input([1], "u32"),
      ancestry: input([rows, steps], "u32"),
      lengths: input([1], "u32"),
      // Layers that share their caches count as well as others.
      layers: Array.from({ length: decoderLayers }, () => layer),
    };
    decodeStep(rec, weights.text, state, config.text);
    console.log(`${rec.dispatches.length} dispatches a decoding step`, byKernel(rec));
    expect(rec.dispatches.length).toBeLessThanOrEqual(47);
  });
});
