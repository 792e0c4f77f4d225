import { describe, expect, it } from "vitest";
import { narrowToFloat16, widenFloat16 } from "../../../core/dtypes/float16.ts";
import { openFiles } from "../../../files/files.ts";
import { released } from "../../../measure/generated/configurations.ts";
import { parityCheckpoint, parityTensor } from "../../../measure/generated/parity_weights.ts";
import { type Florence2Config, parseConfig } from "../../../model/config/config.ts";
import { type FlorenceCheckpoint, tensorOf } from "../../../model/weights/checkpoint.ts";
import {
  expectedTensors,
  LOGITS_BIAS,
  OUTPUT_HEAD,
  SHARED_EMBEDDING,
  TEMPORAL_POSITIONS,
} from "../../../model/weights/expected_tensors.ts";
import { type Layout, storedName } from "../../../model/weights/layouts.ts";
import { openCheckpoint } from "../../../model/weights/open_checkpoint.ts";
import { florenceError } from "../../support/errors.ts";
import { safetensorsBytes, type TensorBytes } from "../../support/safetensors_bytes.ts";
import { sparseFiles } from "../../support/sparse_checkpoint.ts";
import { NOT_STORED, storedIn, TIED, TINY } from "../../support/stored_tensors.ts";

type Encode = (values: Float32Array) => { dtype: string; bytes: Uint8Array };
const asFloat32: Encode = (values) => ({ dtype: "F32", bytes: new Uint8Array(values.buffer) });
const asFloat16: Encode = (values) => {
  const halves = new Uint16Array(values.length);
  narrowToFloat16(values, halves);
  return { dtype: "F16", bytes: new Uint8Array(halves.buffer) };
};
const asBfloat16: Encode = (values) => {
  const bits = new Uint32Array(values.buffer);
  return { dtype: "BF16", bytes: new Uint8Array(Uint16Array.from(bits, (float) => float >>> 16).buffer) };
};

/** The tiny model with parity weights, as a layout stores it. */
async function tinyTensors(layout: Layout, encode: Encode = asFloat32): Promise<Record<string, TensorBytes>> {
  const weights = parityCheckpoint(TINY);
  const tensors: Record<string, TensorBytes> = {};
  for (const [name, shape] of expectedTensors(TINY)) {
    if (NOT_STORED.has(name) || (layout === "transformers" && name === LOGITS_BIAS)) continue;
    const turned = layout === "transformers" && name === "image_projection";
    const values = await weights.read(name);
    const stored = turned ? transposed(values, shape[0]!, shape[1]!) : values;
    tensors[storedName(name, layout)] = { shape: turned ? [...shape].reverse() : shape, ...encode(stored) };
  }
  return tensors;
}

function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(values, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
}

function opened(
  tensors: Record<string, TensorBytes>,
  config: Florence2Config = TINY,
): Promise<FlorenceCheckpoint> {
  return openCheckpoint(openFiles({ "model.safetensors": safetensorsBytes(tensors) }), config);
}

describe("a checkpoint", () => {
  it.each([
    ["f32", asFloat32],
    ["f16", asFloat16],
  ] as const)(
    "reads rows that are stored in %s straight into the memory of a device",
    async (dtype, encode) => {
      const checkpoint = await opened(await tinyTensors("microsoft", encode));
      const name = SHARED_EMBEDDING;
      const [from, to] = [3, 7];
      const expected = await checkpoint.readPacked(name, from, to, dtype);
      const memory = new Uint8Array(expected.byteLength + 16);
      const into = memory.subarray(8, 8 + expected.byteLength);
      const found = await checkpoint.readPacked(name, from, to, dtype, into);
      expect(found).toEqual(expected);
      expect([found.buffer, found.byteOffset]).toEqual([memory.buffer, 8]);
      const converted = await checkpoint.readPacked(name, from, to, dtype === "f32" ? "f16" : "f32", into);
      expect(converted.buffer).not.toBe(memory.buffer);
    },
  );

  it.each(["microsoft", "transformers"] as const)(
    "in the layout of %s gives the values under one name",
    async (layout) => {
      const checkpoint = await opened(await tinyTensors(layout));
      expect(checkpoint.layout).toBe(layout);
      for (const [name, shape] of expectedTensors(TINY)) {
        if (!checkpoint.tensors.has(name)) continue;
        expect(checkpoint.tensors.get(name)!, name).toEqual({ shape, dtype: "F32" });
        expect(await checkpoint.read(name), name).toEqual(parityTensor(name, shape));
      }
      const absent = [...expectedTensors(TINY).keys()].filter((name) => !checkpoint.tensors.has(name));
      expect(absent).toEqual([...(layout === "transformers" ? [LOGITS_BIAS] : []), ...TIED, OUTPUT_HEAD]);
      await expect(checkpoint.read(OUTPUT_HEAD)).rejects.toEqual(
        florenceError("checkpoint_mismatch", OUTPUT_HEAD),
      );
      expect(() => tensorOf(checkpoint.tensors, "x")).toThrow(florenceError("checkpoint_mismatch", '"x"'));
    },
  );

  it.each(["microsoft", "transformers"] as const)("in the layout of %s gives rows", async (layout) => {
    const checkpoint = await opened(await tinyTensors(layout));
    for (const name of [
      "image_projection",
      SHARED_EMBEDDING,
      TEMPORAL_POSITIONS,
      "vision_tower.convs.0.proj.weight",
    ]) {
      const { shape } = checkpoint.tensors.get(name)!;
      const row = shape.slice(1).reduce((a, b) => a * b);
      const whole = await checkpoint.read(name);
      expect(await checkpoint.readRows(name, 1, 4), name).toEqual(whole.slice(row, 4 * row));
      expect(await checkpoint.readRows(name, 2, 2), name).toHaveLength(0);
      for (const [from, to] of [
        [-1, 1],
        [2, 1],
        [0, shape[0]! + 1],
        [0.5, 1],
      ] as const) {
        const error = florenceError("checkpoint_mismatch", name, `${shape[0]} rows`);
        await expect(checkpoint.readRows(name, from, to)).rejects.toEqual(error);
      }
    }
  });

  it("in float16 or bfloat16 gives exactly their values (D14)", async () => {
    for (const [encode, dtype] of [
      [asFloat16, "F16"],
      [asBfloat16, "BF16"],
    ] as const) {
      const checkpoint = await opened(await tinyTensors("microsoft", encode));
      for (const name of [SHARED_EMBEDDING, "image_proj_norm.weight", LOGITS_BIAS]) {
        const exact = await parityCheckpoint(TINY).read(name);
        const rounded = new Float32Array(exact.length);
        if (dtype === "F16") widenFloat16(new Uint16Array(asFloat16(exact).bytes.buffer), rounded);
        else
          new Uint32Array(rounded.buffer).set(new Uint32Array(exact.buffer).map((bits) => bits & 0xffff0000));
        expect(checkpoint.tensors.get(name)!.dtype).toBe(dtype);
        expect(await checkpoint.read(name), `${name} ${dtype}`).toEqual(rounded);
      }
    }
  });

  it("is converted piece by piece without a seam", async () => {
    const config = parseConfig(released("base"));
    const pattern = (index: number) => index % 1999;
    const files = sparseFiles(storedIn(config, "microsoft"));
    // Every file offset tells its own value: a half at byte b holds the pattern of b / 2.
    const counted = {
      ...files,
      async open(name: string) {
        const file = await files.open(name);
        const read = async (start: number, end: number) => {
          const bytes = await file.read(start, end);
          if (start < 100_000) return bytes;
          const halves = new Uint16Array(bytes.buffer);
          for (let i = 0; i < halves.length; i++) halves[i] = pattern(start / 2 + i);
          return bytes;
        };
        return { ...file, read };
      },
    };
    const checkpoint = await openCheckpoint(counted, config);
    const values = await checkpoint.read(SHARED_EMBEDDING);
    expect(values).toHaveLength(51289 * 768);
    const halves = new Uint16Array(values.length);
    narrowToFloat16(values, halves);
    for (let i = 1; i < halves.length; i++) {
      if (halves[i] !== (halves[i - 1]! + 1) % 1999) expect.fail(`a seam at element ${i}`);
    }
  });

  it("may be sharded", async () => {
    const tensors = Object.entries(await tinyTensors("transformers"));
    const [one, two] = [tensors.slice(0, 100), tensors.slice(100)];
    const weightMap = Object.fromEntries(
      tensors.map(([name], i) => [name, i < 100 ? "1.safetensors" : "2.safetensors"]),
    );
    const files = openFiles({
      "1.safetensors": safetensorsBytes(Object.fromEntries(one)),
      "2.safetensors": safetensorsBytes(Object.fromEntries(two)),
      "model.safetensors.index.json": new Blob([JSON.stringify({ weight_map: weightMap })]),
    });
    const checkpoint = await openCheckpoint(files, TINY);
    for (const name of ["vision_tower.convs.0.proj.weight", "image_projection", SHARED_EMBEDDING]) {
      expect(await checkpoint.read(name)).toEqual(await parityCheckpoint(TINY).read(name));
    }
    await checkpoint.close();
  });
});

describe("tied and optional tensors (B20)", () => {
  const table = parityTensor(SHARED_EMBEDDING, [301, 24]);
  const other = table.map((value) => value + 1);
  const asTable = (values: Float32Array): TensorBytes => ({ shape: [301, 24], ...asFloat32(values) });

  it.each(["microsoft", "transformers"] as const)(
    "may all be there, the head trained apart: %s",
    async (layout) => {
      const tensors = await tinyTensors(layout);
      for (const name of TIED) tensors[storedName(name, layout)] = asTable(table);
      tensors[storedName(OUTPUT_HEAD, layout)] = asTable(other);
      const checkpoint = await opened(tensors);
      expect(checkpoint.tensors.has(OUTPUT_HEAD)).toBe(true);
      expect(await checkpoint.read(OUTPUT_HEAD)).toEqual(other);
      expect(await checkpoint.read(SHARED_EMBEDDING)).toEqual(table);
    },
  );

  it("may stand for each other: whichever is stored is the token table", async () => {
    for (const name of [...TIED, OUTPUT_HEAD]) {
      const { [SHARED_EMBEDDING]: _, ...tensors } = await tinyTensors("microsoft");
      const checkpoint = await opened({ ...tensors, [name]: asTable(table) });
      expect(await checkpoint.read(SHARED_EMBEDDING), name).toEqual(table);
    }
    const { [SHARED_EMBEDDING]: _, ...none } = await tinyTensors("microsoft");
    await expect(opened(none)).rejects.toEqual(
      florenceError("checkpoint_mismatch", `1 tensor is missing: "${SHARED_EMBEDDING}"`),
    );
  });

  it("may be absent: the bias of the logits, and the positions in time, which are computed", async () => {
    const { [LOGITS_BIAS]: _, [TEMPORAL_POSITIONS]: __, ...tensors } = await tinyTensors("microsoft");
    const checkpoint = await opened(tensors);
    expect(checkpoint.tensors.has(LOGITS_BIAS)).toBe(false);
    expect(checkpoint.tensors.get(TEMPORAL_POSITIONS)!).toEqual({ shape: [6, 32], dtype: "F32" });
    const positions = await checkpoint.read(TEMPORAL_POSITIONS);
    expect([...positions.slice(0, 4)]).toEqual([0, 1, 0, 1]);
    expect(positions[3 * 32 + 10]).toBeCloseTo(Math.sin(3 / 10000 ** (10 / 32)), 6);
    expect(positions[3 * 32 + 11]).toBeCloseTo(Math.cos(3 / 10000 ** (10 / 32)), 6);
  });
});

describe("weights beside which there are others", () => {
  /** What opening says of the tiny model's tensors. */
  async function warningsOf(tensors: Record<string, TensorBytes>): Promise<string[]> {
    const warnings: string[] = [];
    const files = openFiles({ "model.safetensors": safetensorsBytes(tensors) });
    const checkpoint = await openCheckpoint(files, TINY, { warn: (message) => warnings.push(message) });
    const values = await parityCheckpoint(TINY).read(SHARED_EMBEDDING);
    expect(await checkpoint.read(SHARED_EMBEDDING)).toEqual(values);
    await checkpoint.close();
    return warnings;
  }
  const other: TensorBytes = { dtype: "I64", shape: [1], bytes: new Uint8Array(8) };

  it("are read, and the others are named", async () => {
    const tensors = await tinyTensors("microsoft");
    expect(await warningsOf(tensors)).toEqual([]);
    expect(await warningsOf({ ...tensors, "classifier.weight": other, constructor: other })).toEqual([
      expect.stringMatching(/model\.safetensors: 2 tensors .*not read: "classifier\.weight", "constructor"/),
    ]);
  });

  it.each(["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])(
    "have names that begin with %s",
    async (prefix) => {
      const tensors = await tinyTensors("transformers");
      const wrapped = Object.fromEntries(
        Object.entries(tensors).map(([name, data]) => [prefix + name, data]),
      );
      expect(await warningsOf(wrapped)).toEqual([
        expect.stringContaining(`"${prefix}model.vision_tower.convs.0.conv.weight" as "model.vision_tower`),
      ]);
    },
  );

  it("were compiled in part", async () => {
    const tensors = await tinyTensors("transformers");
    const wrapped = Object.fromEntries(
      Object.entries(tensors).map(([name, data]) => [
        name.replace("model.vision_tower.", "$&_orig_mod."),
        data,
      ]),
    );
    expect(await warningsOf(wrapped)).toHaveLength(1);
  });
});
