/**
 * The weights of Florence-2: which tensors a configuration needs, under which names they are stored, and
 * their values as float32 or float16.
 *
 * Two layouts are in use, Microsoft's (microsoft/Florence-2-*) and that of transformers
 * (florence-community/Florence-2-*). They differ in names, in the order of the axes of the image projection,
 * and in what is stored twice or not at all. This file alone knows; everything else uses Microsoft's names.
 */

import { BITS, BLOCK, type BlockDtype, dequantize, wordsOfBlock } from "../../core/dtypes/quantization.ts";
import { type PackedDtype, packWeights } from "../../core/dtypes/stored_weights.ts";
import { Florence2Error, quote } from "../../core/errors.ts";
import { BYTES_PER_ELEMENT, type TensorData } from "../../core/tensor.ts";
import type { Files } from "../../files/files.ts";
import { openWeightFile } from "../../files/tensors/shards.ts";
import { readFloats, type TensorEntry, type TensorFile } from "../../files/tensors/tensor_file.ts";
import type { Florence2Config } from "../config/config.ts";

export type Layout = "microsoft" | "transformers";
export type WeightDtype = "F32" | "F16" | "BF16";
/** Matrices of linear layers may also be stored in blocks (core/quantization.ts), as rows of U32. */
export type StoredDtype = WeightDtype | "Q8" | "Q4";
export type Shape = readonly number[];

/** The weights of one model under Microsoft's names; values as float32, whatever the file stores. */
export interface FlorenceCheckpoint {
  readonly layout: Layout;
  /** Whether there is such a tensor. Only the output head, the bias of the logits and copies of the token table may be absent. */
  has(name: string): boolean;
  /** Shape under Microsoft's layout, and the dtype in the file. Throws checkpoint_mismatch if it has none. */
  tensor(name: string): { readonly shape: Shape; readonly dtype: StoredDtype };
  /** All values, row by row. Uses memory for the values and a few MB. */
  read(name: string): Promise<Float32Array<ArrayBuffer>>;
  /** The values of rows from to to - 1, a row being one index of the first axis. */
  readRows(name: string, from: number, to: number): Promise<Float32Array<ArrayBuffer>>;
  /** The same rows as devices hold them: as stored, or else the nearest. Throws option_invalid for values that have none. */
  readPacked(name: string, from: number, to: number, dtype: PackedDtype): Promise<TensorData>;
  close(): Promise<void>;
}

export const SHARED_EMBEDDING = "language_model.model.shared.weight";
export const OUTPUT_HEAD = "language_model.lm_head.weight";
export const LOGITS_BIAS = "language_model.final_logits_bias";
export const TEMPORAL_POSITIONS = "visual_temporal_embed.pos_idx_to_embed";
const IMAGE_PROJECTION = "image_projection";

/** Copies of the token table that some files store. The output head is none: it may be trained apart. */
export const TIED_COPIES = [
  "language_model.model.encoder.embed_tokens.weight",
  "language_model.model.decoder.embed_tokens.weight",
];

/** May be absent: the output head is then the token table, the bias zero, and the positions are computed. */
const OPTIONAL_TENSORS = [OUTPUT_HEAD, LOGITS_BIAS, TEMPORAL_POSITIONS, ...TIED_COPIES];

/** Where the weights of a model may be; the first that is there counts. */
export const WEIGHT_FILES: readonly string[] = [
  "model.safetensors",
  "model.safetensors.index.json",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
];

/**
 * Opens the weights of a model and compares every name, shape and dtype with the configuration, before any
 * tensor is read. Throws checkpoint_mismatch, with the first few differences, and what openWeightFile
 * throws; leaves nothing open then.
 */
export async function openFlorenceCheckpoint(
  files: Files,
  config: Florence2Config,
): Promise<FlorenceCheckpoint> {
  const file = await openWeightFile(files, WEIGHT_FILES);
  try {
    const expected = expectedTensors(config);
    const layout = recogniseLayout(file, expected);
    const stored = storedNames(file, layout, expected);
    checkTensors(file, layout, expected, stored, config);
    return checkpointOf(file, layout, expected, stored);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Every tensor that a checkpoint of this configuration may hold, in Microsoft's names, with its shape. */
export function expectedTensors({ vision, projection, text }: Florence2Config): ReadonlyMap<string, Shape> {
  const shapes = new Map<string, Shape>();
  const linear = (name: string, outputs: number, inputs: number) => {
    shapes.set(`${name}.weight`, [outputs, inputs]);
    shapes.set(`${name}.bias`, [outputs]);
  };
  const convolution = (name: string, shape: Shape) => {
    shapes.set(`${name}.weight`, shape);
    shapes.set(`${name}.bias`, [shape[0]!]);
  };
  const norm = (name: string, width: number) => {
    shapes.set(`${name}.weight`, [width]);
    shapes.set(`${name}.bias`, [width]);
  };

  let inputs = vision.inChannels;
  for (const [s, C] of vision.embedDim.entries()) {
    const kernel = vision.patchSize[s]!;
    convolution(`vision_tower.convs.${s}.proj`, [C, inputs, kernel, kernel]);
    norm(`vision_tower.convs.${s}.norm`, vision.patchPrenorm[s] ? inputs : C);
    for (let j = 0; j < vision.depths[s]!; j++) {
      for (const [kind, attention] of [
        ["spatial_block", "window_attn"],
        ["channel_block", "channel_attn"],
      ]) {
        const block = `vision_tower.blocks.${s}.${j}.${kind}`;
        const hidden = Math.trunc(C * vision.mlpRatio);
        convolution(`${block}.conv1.fn.dw`, [C, 1, 3, 3]);
        norm(`${block}.${attention}.norm`, C);
        linear(`${block}.${attention}.fn.qkv`, 3 * C, C);
        linear(`${block}.${attention}.fn.proj`, C, C);
        convolution(`${block}.conv2.fn.dw`, [C, 1, 3, 3]);
        norm(`${block}.ffn.norm`, C);
        linear(`${block}.ffn.fn.net.fc1`, hidden, C);
        linear(`${block}.ffn.fn.net.fc2`, C, hidden);
      }
    }
    inputs = C;
  }

  const C = inputs;
  const d = text.dModel;
  shapes.set(IMAGE_PROJECTION, [C, d]);
  norm("image_proj_norm", d);
  shapes.set("image_pos_embed.row_embeddings.weight", [projection.maxPositionEmbeddings, C / 2]);
  shapes.set("image_pos_embed.column_embeddings.weight", [projection.maxPositionEmbeddings, C / 2]);
  shapes.set(TEMPORAL_POSITIONS, [projection.maxTemporalEmbeddings, C]);

  const vocabulary = [text.vocabSize, d];
  shapes.set(LOGITS_BIAS, [1, text.vocabSize]);
  for (const name of [SHARED_EMBEDDING, ...TIED_COPIES, OUTPUT_HEAD]) shapes.set(name, vocabulary);
  const stack = (side: string, layers: number, ffn: number, attentions: readonly string[]) => {
    shapes.set(`language_model.model.${side}.embed_positions.weight`, [text.maxPositionEmbeddings + 2, d]);
    norm(`language_model.model.${side}.layernorm_embedding`, d);
    for (let i = 0; i < layers; i++) {
      const layer = `language_model.model.${side}.layers.${i}`;
      for (const attention of attentions) {
        for (const part of ["k_proj", "v_proj", "q_proj", "out_proj"])
          linear(`${layer}.${attention}.${part}`, d, d);
        norm(`${layer}.${attention}_layer_norm`, d);
      }
      linear(`${layer}.fc1`, ffn, d);
      linear(`${layer}.fc2`, d, ffn);
      norm(`${layer}.final_layer_norm`, d);
    }
  };
  stack("encoder", text.encoderLayers, text.encoderFfnDim, ["self_attn"]);
  stack("decoder", text.decoderLayers, text.decoderFfnDim, ["self_attn", "encoder_attn"]);
  return shapes;
}

/* Layouts. */

/** The changes from Microsoft's names to those of transformers, in the order in which they are made. */
const RENAMES: readonly (readonly [RegExp, string])[] = [
  [/^vision_tower\.convs\.(\d+)\.proj\./, "vision_tower.convs.$1.conv."],
  [/\.fn\.dw\./, "."],
  [/\.(?:window|channel)_attn\.norm\./, ".norm1."],
  [/\.(window|channel)_attn\.fn\./, ".$1_attn."],
  [/\.ffn\.norm\./, ".norm2."],
  [/\.ffn\.fn\.net\./, ".ffn."],
  [/^image_projection$/, "multi_modal_projector.image_projection.weight"],
  [/^image_proj_norm\./, "multi_modal_projector.image_proj_norm."],
  [/^image_pos_embed\./, "multi_modal_projector.image_position_embed."],
  [/^visual_temporal_embed\./, "multi_modal_projector.visual_temporal_embed."],
  [/^language_model\.model\./, "language_model."],
];

/** The name under which a layout stores a tensor. */
export function storedName(name: string, layout: Layout): string {
  if (layout === "microsoft") return name;
  if (name === OUTPUT_HEAD) return "lm_head.weight";
  return `model.${RENAMES.reduce((renamed, [from, to]) => renamed.replace(from, to), name)}`;
}

/** The shape in which a layout stores a tensor. */
export function storedShape(name: string, shape: Shape, layout: Layout): Shape {
  return isTransposed(name, layout) ? [...shape].reverse() : shape;
}

/** Whether a layout stores a matrix with its axes in the other order. */
export function isTransposed(name: string, layout: Layout): boolean {
  return layout === "transformers" && name === IMAGE_PROJECTION;
}

/** The layout in which the file has most of the names that are expected. */
function recogniseLayout(file: TensorFile, expected: ReadonlyMap<string, Shape>): Layout {
  const count = (layout: Layout) =>
    [...expected.keys()].filter((name) => file.tensors.has(storedName(name, layout))).length;
  const [microsoft, transformers] = [count("microsoft"), count("transformers")];
  if (microsoft + transformers > 0) return microsoft >= transformers ? "microsoft" : "transformers";
  throw new Florence2Error(
    "checkpoint_mismatch",
    `${file.name} holds no weights of Florence-2, neither under Microsoft's names nor under those of transformers. ` +
      `Found ${some([...file.tensors.keys()].map(quote))}.`,
    { file: file.name, found: [...file.tensors.keys()].slice(0, SHOWN) },
  );
}

/** Name in the file for each expected tensor that it holds. */
function storedNames(
  file: TensorFile,
  layout: Layout,
  expected: ReadonlyMap<string, Shape>,
): ReadonlyMap<string, string> {
  const stored = new Map<string, string>();
  for (const name of expected.keys()) {
    if (file.tensors.has(storedName(name, layout))) stored.set(name, storedName(name, layout));
  }
  // Whoever stores one of several tied tensors chooses which: any of them is the token table.
  const table = [SHARED_EMBEDDING, ...TIED_COPIES, OUTPUT_HEAD].find((name) => stored.has(name));
  if (table) stored.set(SHARED_EMBEDDING, stored.get(table)!);
  return stored;
}

/* Comparison with the configuration. */

/** How many differences of a kind a message lists. */
const SHOWN = 3;

function checkTensors(
  file: TensorFile,
  layout: Layout,
  expected: ReadonlyMap<string, Shape>,
  stored: ReadonlyMap<string, string>,
  config: Florence2Config,
): void {
  const missing: string[] = [];
  const wrong: string[] = [];
  for (const [name, shape] of expected) {
    const found = file.tensors.get(stored.get(name) ?? "");
    const wanted = storedShape(name, shape, layout);
    if (!found) {
      if (!OPTIONAL_TENSORS.includes(name)) missing.push(quote(storedName(name, layout)));
    } else if (blocksIn(found, name, wanted)) {
      // As `florence2 quantize` writes it.
    } else if (found.dtype === "U32" && isLinear(name, wanted)) {
      const forms = Object.keys(BITS).map(
        (form) => `[${shapeInBlocks(wanted, form as BlockDtype)}] for ${form}`,
      );
      wrong.push(
        `${quote(stored.get(name))} in U32 with shape [${found.shape}] instead of ${forms.join(" or ")}`,
      );
    } else if (String(found.shape) !== String(wanted) || found.shape.length !== wanted.length) {
      wrong.push(`${quote(stored.get(name))} with shape [${found.shape}] instead of [${wanted}]`);
    } else if (!isWeightDtype(found.dtype)) {
      wrong.push(`${quote(stored.get(name))} in ${found.dtype} instead of F32, F16 or BF16`);
    }
  }
  const known = new Set(stored.values());
  const unknown = [...file.tensors.keys()].filter((name) => !known.has(name)).map(quote);
  const faults = [
    fault(missing, "is missing", "are missing"),
    fault(unknown, "is unknown", "are unknown"),
    fault(wrong, "does not fit", "do not fit"),
  ].filter((text) => text !== "");
  if (faults.length === 0) return;
  const owner = layout === "microsoft" ? "Microsoft" : "transformers";
  const message = `${file.name}, in the layout of ${owner}, does not fit config.json. ${faults.join(" ")}`;
  throw new Florence2Error("checkpoint_mismatch", `${message}${otherSize(file, layout, config)}`, {
    file: file.name,
    layout,
    missing,
    unknown,
    wrong,
  });
}

/** A remark if the weights are of another size of the model than the configuration. */
function otherSize(file: TensorFile, layout: Layout, config: Florence2Config): string {
  const patches = file.tensors.get(storedName("vision_tower.convs.0.proj.weight", layout));
  const norm = file.tensors.get(storedName("image_proj_norm.weight", layout));
  const weights = sizeName(patches?.shape[0], norm?.shape[0]);
  const configured = sizeName(config.vision.embedDim[0], config.text.dModel);
  if (weights === undefined || weights === configured) return "";
  return ` The configuration is of ${configured}, the weights are of ${weights}.`;
}

function sizeName(firstWidth: number | undefined, dModel: number | undefined): string | undefined {
  if (firstWidth === undefined || dModel === undefined) return undefined;
  if (firstWidth === 128 && dModel === 768) return "Florence-2 base";
  if (firstWidth === 256 && dModel === 1024) return "Florence-2 large";
  return `a model with a first stage of ${firstWidth} channels and d_model ${dModel}`;
}

function fault(items: readonly string[], one: string, several: string): string {
  if (items.length === 0) return "";
  return `${items.length} ${items.length === 1 ? `tensor ${one}` : `tensors ${several}`}: ${some(items)}.`;
}

function some(items: readonly string[]): string {
  const more = items.length > SHOWN ? `, and ${items.length - SHOWN} more` : "";
  return items.length === 0 ? "nothing" : items.slice(0, SHOWN).join(", ") + more;
}

/** Whether this is the matrix of a linear layer, or the token table: what may be stored in blocks. */
export function isLinear(name: string, shape: Shape): boolean {
  const isPositions = /(embed_positions|row_embeddings|column_embeddings)\.weight$/.test(name);
  return shape.length === 2 && shape[1]! % BLOCK === 0 && name.endsWith(".weight") && !isPositions;
}

/**
 * By what was asked for, the matrices that can be held so and cost the bundled checkpoint no more than 0.5 % (q8) and
 * 3 % (q4) of any metric (see README, "Memory"). The others are held in twice the bits.
 */
const IN_BLOCKS: Readonly<Record<BlockDtype, RegExp>> = {
  q8: /^vision_tower\.blocks\.[23]\./,
  q4: /^vision_tower\.blocks\.2\.|\.(shared|lm_head)\.weight$/,
};
const TWICE_THE_BITS = { q4: "q8", q8: "f16" } as const;

/** What a matrix is held in where blocks are asked for; what is no linear layer, in f16. */
export function heldForBlocks(name: string, shape: Shape, dtype: BlockDtype): "f16" | BlockDtype {
  if (!isLinear(name, shape)) return "f16";
  return IN_BLOCKS[dtype].test(name) ? dtype : TWICE_THE_BITS[dtype];
}

/** The shape in which a matrix is stored in blocks: rows of words. */
export function shapeInBlocks([rows, columns]: Shape, dtype: BlockDtype): Shape {
  return [rows!, (columns! / BLOCK) * wordsOfBlock(dtype)];
}

/** The blocks that a tensor of a file holds, if that is what it does: their dtype is told by the length of its rows. */
function blocksIn({ dtype, shape }: TensorEntry, name: string, wanted: Shape): BlockDtype | undefined {
  if (dtype !== "U32" || !isLinear(name, wanted)) return undefined;
  const fits = (blocks: BlockDtype) => String(shape) === String(shapeInBlocks(wanted, blocks));
  return (Object.keys(BITS) as BlockDtype[]).find(fits);
}

export function isWeightDtype(dtype: string): dtype is WeightDtype {
  return dtype === "F32" || dtype === "F16" || dtype === "BF16";
}

/* Reading. */

/** A checkpoint of the tensors of a file; `stored` has their names in the file by those of Microsoft. */
export function checkpointOf(
  file: TensorFile,
  layout: Layout,
  expected: ReadonlyMap<string, Shape>,
  stored: ReadonlyMap<string, string>,
): FlorenceCheckpoint {
  const shapeOf = (name: string): Shape => {
    const shape = expected.get(name);
    if (shape && has(name)) return shape;
    throw new Florence2Error("checkpoint_mismatch", `${file.name} holds no ${quote(name)}.`, {
      file: file.name,
      name,
    });
  };
  const has = (name: string) => stored.has(name) || name === TEMPORAL_POSITIONS;

  /** The words that elements from to to - 1 are stored in. */
  const readWords = async (key: string, dtype: "f16" | BlockDtype, from: number, to: number) => {
    const bytes = dtype === "f16" ? 2 : (wordsOfBlock(dtype) * BYTES_PER_ELEMENT) / BLOCK;
    return new Uint32Array((await file.read(key, { start: bytes * from, end: bytes * to })).buffer);
  };
  /** Elements from to to - 1 in the order of the canonical layout. */
  const readElements = async (name: string, from: number, to: number) => {
    const shape = shapeOf(name);
    const key = stored.get(name);
    if (key === undefined) return temporalPositions(shape).slice(from, to);
    const blocks = blocksIn(file.tensors.get(key)!, name, shape);
    if (blocks) {
      const values = new Float32Array(to - from);
      dequantize(await readWords(key, blocks, from, to), blocks, values);
      return values;
    }
    if (!isTransposed(name, layout)) return readFloats(file, key, from, to);
    const [rows, columns] = shape as [number, number];
    return transpose(await readFloats(file, key, 0, rows * columns), columns, rows).slice(from, to);
  };
  /** The range of elements that rows from to to - 1 are. */
  const elementsIn = (name: string, from: number, to: number): [number, number] => {
    const [rows, ...row] = shapeOf(name);
    if (Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from <= to && to <= rows!)
      return [from * count(row), to * count(row)];
    throw new Florence2Error(
      "checkpoint_mismatch",
      `${quote(name)} has ${rows} rows; rows ${from} to ${to} were asked for.`,
      { file: file.name, name, expected: rows, found: [from, to] },
    );
  };
  const tensor = (name: string) => {
    const shape = shapeOf(name);
    const entry = file.tensors.get(stored.get(name) ?? "");
    const blocks = entry && blocksIn(entry, name, shape);
    return { shape, dtype: (blocks?.toUpperCase() ?? entry?.dtype ?? "F32") as StoredDtype };
  };
  return {
    layout,
    has,
    tensor,
    async read(name) {
      return readElements(name, 0, count(shapeOf(name)));
    },
    async readRows(name, from, to) {
      return readElements(name, ...elementsIn(name, from, to));
    },
    async readPacked(name, from, to, dtype) {
      const [start, end] = elementsIn(name, from, to);
      const key = stored.get(name);
      const isStoredSo = tensor(name).dtype.toLowerCase() === dtype && !isTransposed(name, layout);
      if (key !== undefined && isStoredSo && dtype !== "f32") return readWords(key, dtype, start, end);
      return packWeights(await readElements(name, start, end), dtype, name);
    },
    close: () => file.close(),
  };
}

function count(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** [rows, columns] to [columns, rows]. */
export function transpose(values: Float32Array, rows: number, columns: number): Float32Array<ArrayBuffer> {
  const turned = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      turned[column * rows + row] = values[row * columns + column]!;
    }
  }
  return turned;
}

/**
 * The cosine table of temporal positions, [frames, width]: with the angle t / 10000^(2j / width), column
 * 2j of row t holds its sine and column 2j + 1 its cosine.
 */
export function temporalPositions(shape: Shape): Float32Array<ArrayBuffer> {
  const [frames, width] = shape as [number, number];
  const table = new Float32Array(frames * width);
  for (let t = 0; t < frames; t++) {
    for (let j = 0; j < width / 2; j++) {
      const angle = t * Math.exp((-j * Math.log(10000)) / (width / 2));
      table[t * width + 2 * j] = Math.sin(angle);
      table[t * width + 2 * j + 1] = Math.cos(angle);
    }
  }
  return table;
}
