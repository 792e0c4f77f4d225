/** What weights in half precision change: memory by half, and numbers hardly. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Arena } from "../../../core/cpu/arena.ts";
import { CpuRunner } from "../../../core/cpu/cpu_runner.ts";
import { Engine } from "../../../core/cpu/engine.ts";
import { packWeights, StoredWeights } from "../../../core/dtypes/stored_weights.ts";
import { PORTABLE_PROFILE } from "../../../core/recording.ts";
import type { Runner } from "../../../core/runner.ts";
import type { JsonValue } from "../../../files/json.ts";
import { Florence2 } from "../../../index.ts";
import { parityCheckpoint, withValues } from "../../../measure/generated/parity_weights.ts";
import { randomArrays } from "../../../measure/generated/random.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { DecodingSession } from "../../../model/decoding_session.ts";
import { generationSettings } from "../../../model/generation/options.ts";
import { readModelFiles } from "../../../model/loading/read_model_files.ts";
import { VisionSession } from "../../../model/vision_session.ts";
import type { FlorenceCheckpoint } from "../../../model/weights/checkpoint.ts";
import { loadWeights } from "../../../model/weights/load_weights.ts";
import type { WeightsDtype } from "../../../model/weights/loader.ts";
import { relativeL2 } from "../../support/close.ts";
import { emptyCheckpoint } from "../../support/empty_checkpoint.ts";
import { florenceError } from "../../support/errors.ts";
import { gpuMissing, openTestGpu } from "../../support/gpu.ts";
import { modelFixture, type ParityOptions, tinyStages } from "../../support/parity_model.ts";
import { PlanningRunner } from "../../support/planning_runner.ts";

const nano = new URL("../../../checkpoints/nano/", import.meta.url);

describe("weights in float16", () => {
  it("are the nearest, two to a word", () => {
    const values = Float32Array.of(1, -2, 0.1, 65504, 2 ** -24, 0);
    const words = packWeights(values, "f16", "w");
    expect(words[0]).toBe(0xc000_3c00);
    const stored = new StoredWeights(words, "f16");
    expect([...stored.values(0, 6)]).toEqual([1, -2, 0.0999755859375, 65504, 2 ** -24, 0]);
    expect([...stored.values(2, 2)]).toEqual([0.0999755859375, 65504]);
  });

  it("do not hold what is beyond their range, and say so", () => {
    expect(() => packWeights(Float32Array.of(1, 7e4), "f16", "fc1.weight")).toThrow(
      florenceError("option_invalid", "fc1.weight", "70000", "65504", '"f32"'),
    );
    // What was broken before stays what it was: others tell of it.
    expect([...packWeights(Float32Array.of(Infinity, -Infinity), "f16", "w")]).toEqual([0xfc00_7c00]);
  });
});

describe("a dtype", () => {
  it("is one of a list", async () => {
    await expect(Florence2.fromPretrained(nano, { device: "cpu", dtype: "f8" as "f16" })).rejects.toEqual(
      florenceError("option_invalid", '"f8"', '"f16"'),
    );
  });

  it.each([
    ["auto", "F16", "f16"],
    ["auto", "BF16", "f32"],
    ["auto", "F32", "f32"],
    ["f32", "F16", "f32"],
    ["f16", "F32", "f16"],
  ] as const)("%s of files in %s holds matrices in %s, and the rest in f32", async (dtype, stored, held) => {
    const config = parseConfig(modelFixture<JsonValue>("tiny.config.json"));
    const { text, projector, vision } = await loadWeights(
      emptyCheckpoint(config, stored),
      config,
      new PlanningRunner(),
      { dtype },
    );
    const filters = vision[0]!.embed.conv.weight;
    const matrices = [text.head, text.decoder.crossKeysValues.weight, projector.projection, filters];
    expect(matrices.map((tensor) => tensor.dtype)).toEqual([held, held, held, held]);
    const others = [
      text.encoder.positions,
      text.decoder.crossKeysValues.bias,
      vision[0]!.blocks[0]!.spatial.conv1.weight,
    ];
    expect(others.map((tensor) => tensor.dtype)).toEqual(["f32", "f32", "f32"]);
    expect(text.head.storage).toBe(text.encoder.embeddings.storage);
  });
});

/** The bar of half precision at every stage. */
const TOLERANCE = 3e-3;
describe.each<[string, string | undefined, () => Promise<Runner>]>([
  ["CPU's twins", undefined, async () => new CpuRunner()],
  ["CPU engine", undefined, () => CpuRunner.open({ debug: true })],
  ["GPU", gpuMissing, () => openTestGpu({ debug: true })],
])("the tiny model on the %s", (_, missing, open) => {
  /** The stages in f16 beside those in f32, of the same checkpoint. */
  async function compared(checkpointOf?: ParityOptions["checkpointOf"]) {
    const whole = await tinyStages(new CpuRunner(), { dtype: "f32", checkpointOf });
    const half = await tinyStages(await open(), { dtype: "f16", checkpointOf });
    const errors = [...whole].map(([stage, values]) => ({
      stage,
      error: relativeL2(half.get(stage)!, values),
    }));
    const worst = errors.reduce((a, b) => (b.error > a.error ? b : a));
    return { whole, errors, worst };
  }

  it.skipIf(missing)("agrees in f16 with itself in f32 at every stage", async () => {
    const { errors, worst } = await compared();
    console.log(`tiny in f16: largest relative error ${worst.error.toExponential(1)}, at ${worst.stage}`);
    expect(errors.filter(({ error }) => !(error <= TOLERANCE))).toEqual([]);
    // Rounded weights leave traces: without them, nothing was in half precision.
    expect(worst.error).toBeGreaterThan(1e-5);
  });

  it.skipIf(missing)("does so with activations far beyond what float16 holds", async () => {
    const { whole, errors } = await compared((config) => loud(parityCheckpoint(config)));
    const largest = Math.max(...[...whole.values()].map((values) => maximumOf(values as Float32Array)));
    expect(largest).toBeGreaterThan(10 * LARGEST_FLOAT16);
    expect(errors.filter(({ error }) => !(error <= TOLERANCE))).toEqual([]);
  });
});

const LARGEST_FLOAT16 = 65504;
const maximumOf = (values: Float32Array) =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** The same checkpoint with what goes into the GELU, and all that comes of it up to the next norm, 2^18 times as large. */
function loud(checkpoint: FlorenceCheckpoint): FlorenceCheckpoint {
  const isLoud = /(ffn\.norm\.(weight|bias)|layers\.\d+\.fc1\.bias)$/;
  return withValues(checkpoint, (name, values) =>
    isLoud.test(name) ? values.map((value) => 2 ** 18 * value) : values,
  );
}

describe("the bundled checkpoint, stored in F16", () => {
  it("gives the same tokens and the same score in f16, in f32 and by default", async () => {
    const answer = async (dtype?: WeightsDtype) => {
      const model = await Florence2.fromPretrained(nano, { device: "cpu", dtype });
      const { bytes } = model.memory;
      const { tokens, score } = await model.run(new URL("heldout/000.jpg", nano), "<OD>", {
        maxNewTokens: 6,
      });
      model.dispose();
      return { bytes, tokens, score };
    };
    const [whole, half, byDefault] = [await answer("f32"), await answer("f16"), await answer()];
    // No value that a file stores in 16 bits changes.
    expect({ ...half, bytes: 0 }).toEqual({ ...whole, bytes: 0 });
    expect(byDefault).toEqual(half);
    expect(half.bytes).toBeLessThan(0.6 * whole.bytes);
  });
});

describe("q8 where 8-bit products are faster", () => {
  const config = parseConfig(JSON.parse(readFileSync(new URL("config.json", nano), "utf8")) as JsonValue);

  it("holds linear layers in i8, but for short rows, the token table and the head", async () => {
    const runner: Runner = Object.assign(new PlanningRunner(), {
      profile: { ...PORTABLE_PROFILE, i8: "faster" as const },
    });
    const hold = async (dtype: WeightsDtype) =>
      loadWeights(emptyCheckpoint(config, "F16"), config, runner, { dtype });
    const { vision, text, projector } = await hold("q8");
    const [short, long] = [vision[0]!.blocks[0]!.spatial, vision[2]!.blocks[0]!.channel];
    expect(short.fc1.weight.dtype).toBe("f16");
    for (const { weight } of [
      short.fc2,
      long.fc1,
      long.fc2,
      long.qkv,
      text.encoder.layers[0]!.qkv,
      text.encoder.layers[0]!.fc2,
      text.decoder.layers[0]!.fc1,
      text.decoder.crossKeysValues,
    ])
      expect(weight.dtype, weight.storage.label).toBe("i8");
    for (const tensor of [
      projector.projection,
      vision[2]!.embed.conv.weight,
      text.decoder.embeddings,
      text.head,
    ])
      expect(tensor.dtype, tensor.storage.label).toBe("f16");
    expect((await hold("q4")).vision[2]!.blocks[0]!.spatial.fc1.weight.dtype).toBe("q4");
  });

  it("sees nearly what f32 sees, the same with any number of threads", async () => {
    const { checkpoint, imageConfig } = await readModelFiles(nano);
    const pixels = randomArrays(3).normal(imageConfig.height * imageConfig.width * 4).data as Float32Array;
    const seen = async (dtype: WeightsDtype, threads: number) => {
      const arena = new Arena(true);
      // Every runtime compiles this form right.
      const engine = await Engine.open(arena, true, threads, ["SIMD"]);
      const runner = new CpuRunner(arena, engine, {}, "faster");
      try {
        const weights = await loadWeights(checkpoint, config, runner, { dtype });
        const session = await VisionSession.open(runner, weights, config, imageConfig);
        return (await runner.read(await session.encode(pixels))) as Float32Array;
      } finally {
        runner.dispose();
      }
    };
    try {
      const eight = await seen("q8", 1);
      const error = relativeL2(eight, await seen("f32", 2));
      expect(error).toBeLessThan(0.05);
      expect(error).toBeGreaterThan(1e-3);
      expect(await seen("q8", 3)).toEqual(eight);
    } finally {
      await checkpoint.close();
    }
  });
});

describe("the base model with one picture and 3 beams", () => {
  /** The most memory that the model's own code asks for, seeing a picture and taking steps. */
  async function peakBytes(dtype: WeightsDtype): Promise<number> {
    const config = parseConfig(modelFixture<JsonValue>("base.config.json"));
    const image = { width: 768, height: 768, rescaleFactor: 1, mean: [0, 0, 0], std: [1, 1, 1] } as const;
    const runner = new PlanningRunner();
    const weights = await loadWeights(emptyCheckpoint(config, "F16"), config, runner, { dtype });
    const vision = await VisionSession.open(runner, weights, config, image);
    const features = await vision.encode(new Float32Array(4 * 768 * 768));
    const { text, tokens } = config;
    const settings = generationSettings(
      { numBeams: 3 },
      {
        vocabSize: text.vocabSize,
        maxPositions: text.maxPositionEmbeddings,
        decoderStartTokenId: tokens.decoderStart,
        eosTokenId: tokens.eos,
      },
    );
    const question = { image: features, promptIds: Array.from({ length: 10 }, () => 0) };
    const session = await DecodingSession.open(runner, weights.text, text, [question], settings);
    await session.feed(new Uint32Array(3));
    return runner.memory.peakBytes;
  }

  it("takes at most 700 MB with F16 files, less by the other half of its matrices than in f32", async () => {
    const [half, whole] = [await peakBytes("auto"), await peakBytes("f32")];
    console.log(`base, peak: ${(half / 1e6).toFixed(0)} MB in f16, ${(whole / 1e6).toFixed(0)} MB in f32`);
    expect(half).toBeLessThanOrEqual(650e6);
    expect(whole - half).toBeGreaterThan(400e6);
  });

  it("takes at most 400 MB in q4", async () => {
    const [eight, four] = [await peakBytes("q8"), await peakBytes("q4")];
    console.log(`base, peak: ${(eight / 1e6).toFixed(0)} MB in q8, ${(four / 1e6).toFixed(0)} MB in q4`);
    expect(four).toBeLessThanOrEqual(400e6);
    expect(eight).toBeLessThan(600e6);
  });
});
