import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { narrowToFloat16, widenFloat16 } from "../../../core/dtypes/float16.ts";
import { openFiles } from "../../../files/files.ts";
import { converted, released } from "../../../measure/generated/configurations.ts";
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
import { type StoredTensor, sparseFiles, sparseHead } from "../../support/sparse_checkpoint.ts";

const TINY = parseConfig(
  JSON.parse(readFileSync(new URL("../../fixtures/model/tiny.config.json", import.meta.url), "utf8")),
);
const TIED = ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"].map(
  (name) => `language_model.model.${name}`,
);
const NOT_STORED = new Set([...TIED, OUTPUT_HEAD]);

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

/** What the released files store: the token table once, and everything in float16. */
function storedIn(config: Florence2Config, layout: Layout): Map<string, StoredTensor> {
  const names = [...expectedTensors(config)].filter(
    ([name]) => !NOT_STORED.has(name) && !(layout === "transformers" && name === LOGITS_BIAS),
  );
  return new Map(
    names.map(([name, shape]) => [
      storedName(name, layout),
      {
        dtype: "F16",
        shape: layout === "transformers" && name === "image_projection" ? [...shape].reverse() : shape,
      },
    ]),
  );
}

describe("the list of tensors", () => {
  it.each([
    ["base", 1024, 666, 85_856, 463_221_266],
    ["large", 4096, 918, 120_464, 1_553_563_458],
  ] as const)("of %s with %i positions gives the file that Microsoft published, to the byte", (...row) => {
    const [size, positions, count, headerBytes, fileBytes] = row;
    const json = released(size);
    json.text_config.max_position_embeddings = positions;
    const tensors = storedIn(parseConfig(json), "microsoft");
    expect(tensors.size).toBe(count);
    const sorted = new Map([...tensors].sort(([a], [b]) => (a < b ? -1 : 1)));
    const file = sparseHead(sorted);
    expect(file.head.length).toBe(headerBytes);
    expect(file.size).toBe(fileBytes);
  });

  it("of base has the sizes of the paper", () => {
    const elements = [...storedIn(parseConfig(released("base")), "microsoft")].map(
      ([name, { shape }]) => [name, shape.reduce((a, b) => a * b)] as const,
    );
    const sum = (prefix: string) =>
      elements.filter(([name]) => name.startsWith(prefix)).reduce((total, [, count]) => total + count, 0);
    expect([sum("vision_tower."), sum("language_model."), sum("")]).toEqual([
      90_368_000, 140_258_137, 231_567_705,
    ]);
    expect(storedIn(parseConfig(converted("base")), "transformers").size).toBe(665);
  });

  const block = "vision_tower.blocks.2.8";
  it.each([
    ["vision_tower.convs.3.proj.bias", "model.vision_tower.convs.3.conv.bias"],
    ["vision_tower.convs.0.norm.weight", "model.vision_tower.convs.0.norm.weight"],
    [`${block}.spatial_block.conv1.fn.dw.weight`, `model.${block}.spatial_block.conv1.weight`],
    [`${block}.channel_block.conv2.fn.dw.bias`, `model.${block}.channel_block.conv2.bias`],
    [`${block}.spatial_block.window_attn.norm.weight`, `model.${block}.spatial_block.norm1.weight`],
    [`${block}.channel_block.channel_attn.norm.bias`, `model.${block}.channel_block.norm1.bias`],
    [
      `${block}.spatial_block.window_attn.fn.qkv.weight`,
      `model.${block}.spatial_block.window_attn.qkv.weight`,
    ],
    [
      `${block}.channel_block.channel_attn.fn.proj.bias`,
      `model.${block}.channel_block.channel_attn.proj.bias`,
    ],
    [`${block}.channel_block.ffn.norm.weight`, `model.${block}.channel_block.norm2.weight`],
    [`${block}.spatial_block.ffn.fn.net.fc1.weight`, `model.${block}.spatial_block.ffn.fc1.weight`],
    ["image_projection", "model.multi_modal_projector.image_projection.weight"],
    ["image_proj_norm.bias", "model.multi_modal_projector.image_proj_norm.bias"],
    [
      "image_pos_embed.row_embeddings.weight",
      "model.multi_modal_projector.image_position_embed.row_embeddings.weight",
    ],
    [TEMPORAL_POSITIONS, "model.multi_modal_projector.visual_temporal_embed.pos_idx_to_embed"],
    [SHARED_EMBEDDING, "model.language_model.shared.weight"],
    [
      "language_model.model.decoder.layers.5.encoder_attn.out_proj.weight",
      "model.language_model.decoder.layers.5.encoder_attn.out_proj.weight",
    ],
    [OUTPUT_HEAD, "lm_head.weight"],
  ])("has %s, which transformers calls %s", (microsoft, transformers) => {
    expect(expectedTensors(parseConfig(released("base"))).has(microsoft)).toBe(true);
    expect(storedName(microsoft, "transformers")).toBe(transformers);
    expect(storedName(microsoft, "microsoft")).toBe(microsoft);
  });
});

describe("a checkpoint", () => {
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

describe("weights that do not fit the configuration (B19)", () => {
  const base = parseConfig(released("base"));

  /** The error of opening base with some tensors changed, removed (null) or added. */
  async function refused(changes: Record<string, StoredTensor | null>, ...patterns: string[]): Promise<void> {
    const tensors = storedIn(base, "microsoft");
    for (const [name, tensor] of Object.entries(changes)) {
      if (tensor) tensors.set(name, tensor);
      else tensors.delete(name);
    }
    const files = sparseFiles(tensors);
    await expect(openCheckpoint(files, base)).rejects.toEqual(
      florenceError("checkpoint_mismatch", "model.safetensors", "layout of Microsoft", ...patterns),
    );
    expect(files).toMatchObject({ dataReads: 0, opened: 0 });
  }

  it("lack tensors", async () => {
    const layers = (i: number) => `language_model.model.encoder.layers.${i}.fc1.weight`;
    await refused({ [layers(0)]: null }, `1 tensor is missing: "${layers(0)}".`);
    const five = Object.fromEntries([0, 1, 2, 3, 4].map((i) => [layers(i), null]));
    await refused(five, `5 tensors are missing: "${layers(0)}", "${layers(1)}", "${layers(2)}", and 2 more.`);
  });

  it("lack tensors and have others in their place", async () => {
    const tensor = { dtype: "F16", shape: [2] };
    const changes = { "image_proj_norm.bias": null, "image_proj_norm.beta": tensor };
    await refused(changes, "1 tensor is missing", '1 tensor is unknown: "image_proj_norm.beta"');
  });

  it("have other shapes", async () => {
    await refused(
      { "image_proj_norm.bias": { dtype: "F16", shape: [769] } },
      '1 tensor does not fit: "image_proj_norm.bias" with shape [769] instead of [768]',
    );
    await refused({ "image_proj_norm.bias": { dtype: "F16", shape: [1, 768] } }, "[1,768] instead of [768]");
    await refused(
      { image_projection: { dtype: "F16", shape: [768, 1024] } },
      "[768,1024] instead of [1024,768]",
    );
    await refused(
      { [OUTPUT_HEAD]: { dtype: "F16", shape: [51290, 768] } },
      "[51290,768] instead of [51289,768]",
    );
    await refused({ [LOGITS_BIAS]: { dtype: "F16", shape: [51289] } }, "[51289] instead of [1,51289]");
  });

  it.each(["I64", "F64", "F8_E4M3"])("have the dtype %s", async (dtype) => {
    await refused(
      { "image_proj_norm.bias": { dtype, shape: [768] } },
      `in ${dtype} instead of F32, F16 or BF16`,
    );
  });

  it("have another number of rows than the vocabulary (D6)", async () => {
    const files = sparseFiles(storedIn(base, "microsoft"));
    const vocabulary = released("base");
    vocabulary.text_config.vocab_size = 51288;
    await expect(openCheckpoint(files, parseConfig(vocabulary))).rejects.toEqual(
      florenceError("checkpoint_mismatch", "[51289,768] instead of [51288,768]"),
    );
    const padded = sparseFiles(storedIn(parseConfig(converted("base")), "transformers"));
    const checkpoint = await openCheckpoint(padded, parseConfig(converted("base")));
    expect(checkpoint.tensors.get(SHARED_EMBEDDING)!.shape).toEqual([51328, 768]);
  });

  it("are of another size (D15)", async () => {
    const large = parseConfig(released("large"));
    for (const layout of ["microsoft", "transformers"] as const) {
      await expect(openCheckpoint(sparseFiles(storedIn(large, layout)), base)).rejects.toEqual(
        florenceError(
          "checkpoint_mismatch",
          "The configuration is of Florence-2 base, the weights are of Florence-2 large.",
        ),
      );
    }
    await expect(openCheckpoint(sparseFiles(storedIn(base, "microsoft")), large)).rejects.toEqual(
      florenceError("checkpoint_mismatch", "of Florence-2 large, the weights are of Florence-2 base."),
    );
    await expect(openCheckpoint(sparseFiles(storedIn(TINY, "microsoft")), large)).rejects.toEqual(
      florenceError("checkpoint_mismatch", "a first stage of 8 channels and d_model 24"),
    );
  });

  it("are of large, with the positions of another revision (D7)", async () => {
    const long = released("large");
    long.text_config.max_position_embeddings = 4096;
    const files = sparseFiles(storedIn(parseConfig(long), "microsoft"));
    await expect(openCheckpoint(files, parseConfig(released("large")))).rejects.toEqual(
      florenceError("checkpoint_mismatch", "2 tensors do not fit", "[4098,1024] instead of [1026,1024]"),
    );
  });

  it("are of another model", async () => {
    const files = sparseFiles(
      new Map([["bert.embeddings.word_embeddings.weight", { dtype: "F16", shape: [2] }]]),
    );
    await expect(openCheckpoint(files, base)).rejects.toEqual(
      florenceError(
        "checkpoint_mismatch",
        "no weights of Florence-2",
        '"bert.embeddings.word_embeddings.weight"',
      ),
    );
    await expect(openCheckpoint(sparseFiles(new Map()), base)).rejects.toEqual(
      florenceError("checkpoint_mismatch", "Found nothing"),
    );
    expect(files).toMatchObject({ dataReads: 0, opened: 0 });
  });
});
