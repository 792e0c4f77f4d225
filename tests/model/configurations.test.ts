import { describe, expect, it } from "vitest";
import { CpuRunner } from "../../core/cpu/cpu_runner.ts";
import type { JsonObject } from "../../files/json.ts";
import { parityCheckpoint, withTensor } from "../../measure/generated/parity_weights.ts";
import { parseConfig } from "../../model/config/config.ts";
import { DECODER_EMBEDDING, SHARED_EMBEDDING } from "../../model/weights/expected_tensors.ts";
import { modelFixture, openConfiguredModel, parityPixels } from "../support/parity_model.ts";

interface Configured {
  readonly config: JsonObject & { readonly tie_word_embeddings: boolean };
  readonly side: number;
  readonly input_ids: number[];
  readonly decoder_ids: number[];
  readonly taps: Readonly<
    Record<string, { readonly size: number; readonly norm: number; readonly values: readonly number[] }>
  >;
}

/** As for the tiny model: single precision, summed in another order, at a few places of each stage. */
const TOLERANCE = 2e-5;

const all = modelFixture<Configured[]>("configurations.json");

describe("random configurations, against transformers", () => {
  it("have their turn of what no release uses", () => {
    const configs = all.map(({ config }) => parseConfig({ model_type: "florence2", ...config }));
    expect(configs.some(({ text }) => text.scaleEmbedding)).toBe(true);
    expect(configs.some(({ vision }) => !vision.qkvBias)).toBe(true);
    for (const activation of ["gelu", "geluTanh", "quickGelu", "silu", "relu"]) {
      expect(configs.some(({ text }) => text.activation === activation)).toBe(true);
      expect(configs.some(({ vision }) => vision.activation === activation)).toBe(true);
    }
    expect(all.some(({ config }) => !config.tie_word_embeddings)).toBe(true);
  });

  it.each([...all.entries()])("agree at every stage: %i", async (_, { config, side, taps, ...ids }) => {
    const model = await openConfiguredModel(parseConfig(config), side, new CpuRunner(), (parsed) =>
      config.tie_word_embeddings
        ? parityCheckpoint(parsed)
        : withTensor(
            parityCheckpoint(parsed),
            DECODER_EMBEDDING,
            SHARED_EMBEDDING,
            "language_model.model.decoder.shared.weight",
          ),
    );
    const found = await model.forward({
      pixelValues: parityPixels("pixel_values", side),
      inputIds: [ids.input_ids],
      decoderInputIds: [ids.decoder_ids],
      taps: () => true,
    });
    model.dispose();
    const errors = Object.entries(taps).map(([stage, { size, norm, values }]) => {
      const own = found.taps[0]!.get(stage) ?? new Float32Array(0);
      const scale = norm / Math.sqrt(size);
      const differences = values.map(
        (value, k) => Math.abs(value - (own[Math.floor((k * size) / values.length)] ?? Number.NaN)) / scale,
      );
      const ownNorm = Math.hypot(...own);
      return {
        stage,
        error: Math.max(...differences, Math.abs(ownNorm - norm) / norm),
        size: own.length - size,
      };
    });
    // In the order of computation, so that the first in the list is the first to blame.
    expect(errors.filter(({ error, size }) => !(error <= TOLERANCE) || size !== 0)).toEqual([]);
  });
});
