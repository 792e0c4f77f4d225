/**
 * The weights of tests/reference/weights.py, whose docstring defines them, computed here bit for bit: each
 * number is a function of its tensor's name and its place in it, so nothing has to be stored or shipped.
 */
import { packWeights } from "../../core/dtypes/stored_weights.ts";
import type { Florence2Config } from "../../model/config/config.ts";
import { type FlorenceCheckpoint, temporalPositions } from "../../model/weights/checkpoint.ts";
import {
  expectedTensors,
  LOGITS_BIAS,
  OUTPUT_HEAD,
  type Shape,
  TEMPORAL_POSITIONS,
} from "../../model/weights/expected_tensors.ts";

const GOLDEN = 0x9e3779b9;

const BIAS_SCALE = 0.05;
const NORM_SCALE = 0.1;
const IMAGE_POSITION_SCALE = 1.5;
const TEXT_POSITION_SCALE = 0.75;
const PICTURE_SCALE = 2;

/** Suffix of the name, and c of the rule c / sqrt(n). The first suffix that fits decides. */
export const COEFFICIENTS: readonly (readonly [string, number])[] = [
  [".dw.weight", 0.5],
  ["window_attn.fn.qkv.weight", 2.5],
  ["channel_attn.fn.qkv.weight", 0.75],
  ["window_attn.fn.proj.weight", 1.5],
  ["channel_attn.fn.proj.weight", 2.5],
  ["net.fc1.weight", 1.75],
  ["net.fc2.weight", 1.5],
  [".proj.weight", 1.75],
  ["image_projection", 1.75],
  ["shared.weight", 5],
  ["q_proj.weight", 4.5],
  ["k_proj.weight", 4.5],
  ["v_proj.weight", 1.75],
  ["self_attn.out_proj.weight", 0.8],
  ["encoder_attn.out_proj.weight", 1.4],
  [".fc1.weight", 2.5],
  [".fc2.weight", 1.2],
];

/** A checkpoint whose weights are computed when they are read. */
export function parityCheckpoint(config: Florence2Config): FlorenceCheckpoint {
  const shapes = new Map(
    [...expectedTensors(config)].filter(
      ([name]) => name !== OUTPUT_HEAD && !name.endsWith("embed_tokens.weight"),
    ),
  );
  const shapeOf = (name: string): Shape => {
    const shape = shapes.get(name);
    if (!shape) throw new Error(`There are no parity weights for ${name}.`);
    return shape;
  };
  const readRows = async (name: string, from: number, to: number) => {
    const shape = shapeOf(name);
    const row = product(shape.slice(1));
    return parityTensor(name, shape, from * row, to * row);
  };
  return {
    layout: "microsoft",
    tensors: new Map([...shapes].map(([name, shape]) => [name, { shape, dtype: "F32" }])),
    read: async (name) => parityTensor(name, shapeOf(name)),
    readRows,
    readPacked: async (name, from, to, dtype) => packWeights(await readRows(name, from, to), dtype, name),
    close: async () => {},
  };
}

/** The same checkpoint with other values of the same shapes, element by element. */
export function withValues(
  checkpoint: FlorenceCheckpoint,
  change: (name: string, values: Float32Array<ArrayBuffer>) => Float32Array<ArrayBuffer>,
): FlorenceCheckpoint {
  const readRows: FlorenceCheckpoint["readRows"] = async (name, from, to) =>
    change(name, await checkpoint.readRows(name, from, to));
  return {
    ...checkpoint,
    read: async (name) => change(name, await checkpoint.read(name)),
    readRows,
    readPacked: async (name, from, to, dtype) => packWeights(await readRows(name, from, to), dtype, name),
  };
}

/** The same checkpoint with one more tensor: of the shape of another, and with the values that belong to a name. */
export function withTensor(
  checkpoint: FlorenceCheckpoint,
  added: string,
  like: string,
  name: string,
): FlorenceCheckpoint {
  const tensor = checkpoint.tensors.get(like)!;
  const row = product(tensor.shape.slice(1));
  const readRows: FlorenceCheckpoint["readRows"] = async (asked, from, to) =>
    asked === added
      ? parityTensor(name, tensor.shape, from * row, to * row)
      : checkpoint.readRows(asked, from, to);
  return {
    ...checkpoint,
    tensors: new Map([...checkpoint.tensors, [added, tensor]]),
    read: async (asked) => (asked === added ? parityTensor(name, tensor.shape) : checkpoint.read(asked)),
    readRows,
    readPacked: async (asked, from, to, dtype) => packWeights(await readRows(asked, from, to), dtype, asked),
  };
}

/** Elements from to to - 1 of a tensor. Pictures are the tensors "pixel_values" and "pixel_values.{k}", [3][H][W]. */
export function parityTensor(
  name: string,
  shape: Shape,
  from = 0,
  to = product(shape),
): Float32Array<ArrayBuffer> {
  if (name === TEMPORAL_POSITIONS) return temporalPositions(shape).slice(from, to);
  const { scale, offset } = rule(name, shape);
  const values = new Float32Array(to - from);
  let counter = (hashName(name) + Math.imul(from, GOLDEN)) | 0;
  for (let i = 0; i < values.length; i++) {
    let h = counter ^ (counter >>> 16);
    h = Math.imul(h, 0x85ebca6b);
    h ^= h >>> 13;
    h = Math.imul(h, 0xc2b2ae35);
    h ^= h >>> 16;
    values[i] = offset + Math.fround(((h >>> 8) * 2 ** -23 - 1) * scale);
    counter = (counter + GOLDEN) | 0;
  }
  return values;
}

/** Both numbers are float32 values. */
function rule(name: string, shape: Shape): { scale: number; offset: number } {
  if (name === LOGITS_BIAS) return { scale: 0, offset: 0 };
  if (/^pixel_values(\.|$)/.test(name)) return { scale: PICTURE_SCALE, offset: 0 };
  if (name.endsWith(".bias")) return { scale: Math.fround(BIAS_SCALE), offset: 0 };
  if (name.endsWith(".weight") && shape.length === 1) return { scale: Math.fround(NORM_SCALE), offset: 1 };
  if (/(row|column)_embeddings\.weight$/.test(name)) return { scale: IMAGE_POSITION_SCALE, offset: 0 };
  if (name.endsWith("embed_positions.weight")) return { scale: TEXT_POSITION_SCALE, offset: 0 };
  const coefficient = COEFFICIENTS.find(([suffix]) => name.endsWith(suffix))?.[1];
  if (coefficient === undefined) throw new Error(`There is no rule for the parity weights of ${name}.`);
  const fanIn = name === "image_projection" ? shape[0]! : product(shape.slice(1));
  return { scale: Math.fround(coefficient / Math.sqrt(fanIn)), offset: 0 };
}

/** FNV-1a, 32 bits. */
function hashName(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash;
}

function product(shape: Shape): number {
  return shape.reduce((total, size) => total * size, 1);
}
