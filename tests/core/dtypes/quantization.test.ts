/** Weights in blocks of 8 and 4 bits: the blocks, and models that hold, keep and read them. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { writeQuantized } from "../../../commands/quantize/folder.ts";
import { CpuRunner } from "../../../core/cpu/cpu_runner.ts";
import { BITS, BLOCK, type BlockDtype, dequantize, quantize } from "../../../core/dtypes/quantization.ts";
import { packWeights, StoredWeights } from "../../../core/dtypes/stored_weights.ts";
import { Florence2, openSafetensors } from "../../../index.ts";
import { randomArrays } from "../../../measure/generated/random.ts";
import type { WeightsDtype } from "../../../model/weights/loader.ts";
import { relativeL2 } from "../../support/close.ts";
import { florenceError } from "../../support/errors.ts";
import { gpuMissing, openTestGpu } from "../../support/gpu.ts";
import { tinyStages } from "../../support/parity_model.ts";

const NANO = fileURLToPath(new URL("../../../checkpoints/nano/", import.meta.url));
const DTYPES = Object.keys(BITS) as BlockDtype[];
/** What some of nano's matrices, with these columns, are held in where blocks are asked for. */
const HELD = {
  q8: [
    ["vision_tower.blocks.0.0.channel_block.ffn.fn.net.fc1.weight", 32, "f16"],
    ["vision_tower.blocks.2.0.channel_block.ffn.fn.net.fc1.weight", 128, "q8"],
    ["vision_tower.blocks.3.0.channel_block.ffn.fn.net.fc1.weight", 192, "q8"],
    ["language_model.model.decoder.layers.0.fc1.weight", 128, "f16"],
    ["language_model.model.shared.weight", 128, "f16"],
  ],
  q4: [
    ["vision_tower.blocks.0.0.channel_block.ffn.fn.net.fc1.weight", 32, "q8"],
    ["vision_tower.blocks.2.0.channel_block.ffn.fn.net.fc1.weight", 128, "q4"],
    ["vision_tower.blocks.3.0.channel_block.ffn.fn.net.fc1.weight", 192, "q8"],
    ["language_model.model.decoder.layers.0.fc1.weight", 128, "q8"],
    ["language_model.model.shared.weight", 128, "q4"],
  ],
} as const;

const kept = (values: Float32Array, dtype: BlockDtype): Float32Array => {
  const out = new Float32Array(values.length);
  dequantize(quantize(values, dtype, "w"), dtype, out);
  return out;
};

describe.each(DTYPES)("blocks in %s", (dtype) => {
  const steps = 2 ** BITS[dtype] - 1;
  const values = randomArrays(7).normal(64 * BLOCK).data as Float32Array;

  it("are as small as they say", () => {
    expect(quantize(values, dtype, "w").byteLength).toBe((values.length * (BITS[dtype] + 1)) / 8);
  });

  it("hold every weight to about half a step, and blocks better than even steps between their ends", () => {
    const found = kept(values, dtype);
    for (let first = 0; first < values.length; first += BLOCK) {
      const block = values.subarray(first, first + BLOCK);
      const [low, high] = [Math.min(...block), Math.max(...block)];
      const step = (high - low) / steps;
      let [ours, plain] = [0, 0];
      for (const [i, value] of block.entries()) {
        ours += (found[first + i]! - value) ** 2;
        plain += (low + step * Math.round((value - low) / step) - value) ** 2;
        // Ends in float16 move the grid by 2^-11 of them; the fit in 4 bits leaves the outermost weights a little out.
        const allowed = (dtype === "q4" ? 1.5 : 0.5) * step + 2 ** -10 * (Math.abs(low) + Math.abs(high));
        expect(Math.abs(found[first + i]! - value)).toBeLessThanOrEqual(allowed);
      }
      expect(ours).toBeLessThanOrEqual(plain * 1.25 + 1e-6);
    }
    expect(relativeL2(found, values)).toBeLessThan(dtype === "q4" ? 0.09 : 0.0055);
  });

  it("hold zeros, constants of float16 and the smallest spans", () => {
    expect([...kept(new Float32Array(BLOCK), dtype)]).toEqual(new Array(BLOCK).fill(0));
    expect([...kept(new Float32Array(BLOCK).fill(-1.5), dtype)]).toEqual(new Array(BLOCK).fill(-1.5));
    const tiny = Float32Array.from({ length: BLOCK }, (_, i) => (i - 16) * 2 ** -19);
    expect(relativeL2(kept(tiny, dtype), tiny)).toBeLessThan(dtype === "q4" ? 0.08 : 0.01);
  });

  it("are read from anywhere", () => {
    const stored = new StoredWeights(packWeights(values as Float32Array<ArrayBuffer>, dtype, "w"), dtype);
    const whole = kept(values, dtype);
    for (const [start, count] of [
      [0, 32],
      [32, 64],
      [5, 3],
      [30, 40],
      [2016, 32],
    ] as const)
      expect([...stored.values(start, count)]).toEqual([...whole.subarray(start, start + count)]);
  });

  it.each([[Number.NaN], [Number.POSITIVE_INFINITY], [1e5]])("refuse %s, and name the tensor", (value) => {
    const broken = values.slice(0, BLOCK);
    broken[3] = value;
    expect(() => quantize(broken, dtype, "fc1.weight")).toThrow(
      florenceError("option_invalid", "fc1.weight", String(value), '"f32"'),
    );
  });
});

/** How far stages of the tiny model, whose rows are of one to four blocks, may be from f32. */
const TOLERANCE = { q8: 0.02, q4: 0.25 } as const;

describe.each(DTYPES)("the tiny model in %s", (dtype) => {
  it.skipIf(gpuMissing)("is the same on GPU and CPU, and near to itself in f32", async () => {
    const whole = await tinyStages(new CpuRunner(), { dtype: "f32" });
    const twins = await tinyStages(new CpuRunner(), { dtype });
    const gpu = await tinyStages(await openTestGpu({ debug: true }), { dtype });
    const distances = [...whole].map(([stage, values]) => ({
      stage,
      toTwins: relativeL2(gpu.get(stage)!, twins.get(stage)!),
      toWhole: relativeL2(gpu.get(stage)!, values),
    }));
    const worst = distances.reduce((a, b) => (b.toWhole > a.toWhole ? b : a));
    console.log(
      `tiny in ${dtype}: largest relative distance to f32 ${worst.toWhole.toExponential(1)}, at ${worst.stage}`,
    );
    expect(distances.filter(({ toTwins }) => !(toTwins <= 1e-5))).toEqual([]);
    expect(distances.filter(({ toWhole }) => !(toWhole <= TOLERANCE[dtype]))).toEqual([]);
    expect(worst.toWhole).toBeGreaterThan(1e-3);
  });
});

describe("a folder of florence2 quantize", () => {
  let parent: string;
  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), "florence2-quantize-"));
  });
  afterEach(() => rm(parent, { recursive: true }));

  let isI8Faster: boolean;
  beforeAll(async () => {
    const runner = await CpuRunner.open({ asksForI8: true });
    isI8Faster = runner.profile.i8 === "faster";
    runner.dispose();
  });

  const answer = async (source: string, dtype?: WeightsDtype) => {
    const model = await Florence2.fromPretrained(source, { device: "cpu", dtype });
    const { bytes } = model.memory;
    const { tokens, score } = await model.run(join(NANO, "heldout/000.jpg"), "<OD>", { maxNewTokens: 4 });
    model.dispose();
    return { bytes, tokens, score };
  };

  it.each(DTYPES)(
    "holds in %s what would be held of the whole model, and says how far it is",
    async (dtype) => {
      const folder = join(parent, dtype);
      const told: number[][] = [];
      const bytes = await writeQuantized(NANO, folder, {
        dtype,
        onWritten: (...counts) => told.push(counts),
      });
      expect(told.at(-1)).toEqual([bytes, bytes]);
      expect(await readdir(parent)).toEqual([dtype]);
      const names = await readdir(folder);
      expect(names).toContain("tokenizer.json");
      for (const name of names.filter((name) => name !== "model.safetensors"))
        expect(await readFile(join(folder, name))).toEqual(await readFile(join(NANO, name)));

      const file = await openSafetensors(join(folder, "model.safetensors"));
      for (const [name, columns, held] of HELD[dtype]) {
        const { dtype: stored, shape } = file.tensors.get(name)!;
        const expected = held === "f16" ? ["F16", columns] : ["U32", (columns / BLOCK) * (BITS[held] + 1)];
        expect([stored, shape[1]], name).toEqual(expected);
      }
      expect(file.tensors.get("vision_tower.convs.1.proj.weight")!.dtype).toBe("F16");
      await file.close();

      const atLoad = await answer(NANO, dtype);
      // Asked for by name, q8 is held in i8 where 8-bit products are faster; the file says no more than its blocks.
      const held = await answer(folder);
      if (!(dtype === "q8" && isI8Faster)) expect(held).toEqual(atLoad);
      expect(atLoad.bytes).toBeLessThan((await answer(NANO)).bytes);
      // And back: other dtypes hold what the blocks say.
      expect((await answer(folder, "f32")).tokens).toEqual(held.tokens);
    },
  );

  it("is whole or not there, and made once", async () => {
    const folder = join(parent, "model");
    const controller = new AbortController();
    await expect(
      writeQuantized(NANO, folder, {
        dtype: "q4",
        signal: controller.signal,
        onWritten: () => controller.abort(new Error("enough")),
      }),
    ).rejects.toThrow("enough");
    expect(await readdir(parent)).toEqual([]);

    await writeQuantized(NANO, folder, { dtype: "q4" });
    await expect(writeQuantized(NANO, folder, { dtype: "q4" })).rejects.toEqual(
      florenceError("option_invalid", folder, "exists"),
    );
    await expect(writeQuantized(folder, join(parent, "again"), { dtype: "q8" })).rejects.toEqual(
      florenceError("option_invalid", "in blocks already, as Q"),
    );
    expect(await readdir(parent)).toEqual(["model"]);
  });

  it("is refused with rows of another length", async () => {
    const folder = join(parent, "model");
    await writeQuantized(NANO, folder, { dtype: "q4" });
    const path = join(folder, "model.safetensors");
    const bytes = await readFile(path);
    const shape = '"language_model.model.shared.weight":{"dtype":"U32","shape":[1986,20]';
    const at = bytes.indexOf(shape);
    expect(at).toBeGreaterThan(0);
    bytes.write(shape.replace("1986,20", "993,40 "), at);
    await writeFile(path, bytes);
    await expect(Florence2.fromPretrained(folder, { device: "cpu" })).rejects.toEqual(
      florenceError(
        "checkpoint_mismatch",
        "shared.weight",
        "U32",
        "[993,40]",
        "[1986,36] for q8",
        "[1986,20] for q4",
      ),
    );
  });
});
