import { GROUP, WORDS_OF_GROUP } from "./dtypes/integers.ts";
import { BLOCK, type BlockDtype, wordsOfBlock } from "./dtypes/quantization.ts";
import { Florence2Error } from "./errors.ts";

/**
 * Element types that live in tensors. Weights may be in half precision, two to a word of four bytes, or in blocks of
 * fewer bits, which rows consist of as a whole (see quantization.ts); on the CPU engine also in groups of whole numbers
 * (see integers.ts).
 */
export type Dtype = "f32" | "u32" | "f16" | BlockDtype | "i8";
/** The content of a tensor: its elements, or the words that they are packed into. */
export type TensorData = Float32Array | Uint32Array;

/** Of f32 and u32, and of the words that others are packed into. */
export const BYTES_PER_ELEMENT = 4;
const BYTES: Readonly<Record<Dtype, number>> = {
  f32: 4,
  u32: 4,
  f16: 2,
  q8: (wordsOfBlock("q8") * BYTES_PER_ELEMENT) / BLOCK,
  q4: (wordsOfBlock("q4") * BYTES_PER_ELEMENT) / BLOCK,
  i8: (WORDS_OF_GROUP * BYTES_PER_ELEMENT) / GROUP,
};

/** WebGPU binds a part of a buffer only at multiples of this many bytes, on every device. */
const VIEW_ALIGNMENT_BYTES = 256;

/**
 * Memory that a tensor points into, without saying where that memory is: a runner maps it to a GPU
 * buffer or to an array. A `temp` belongs to one recording and shares memory with others; an `owned`
 * storage (weights, caches, inputs) lives until it is freed.
 */
export interface Storage {
  readonly label: string;
  /** Its size in words of four bytes. */
  readonly words: number;
  readonly lifetime: "temp" | "owned";
}

/** A row-major array on some device. `offset` counts elements from the start of the storage. */
export interface Tensor {
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly dtype: Dtype;
}

export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** The length of the last axis: the channels C of a token tensor (N, C). */
export function columnsOf(tensor: Tensor): number {
  return tensor.shape[tensor.shape.length - 1] ?? 1;
}

/** The product of all axes but the last: the tokens N of a token tensor (N, C). */
export function rowsOf(tensor: Tensor): number {
  return elementsOf(tensor.shape) / columnsOf(tensor);
}

export function bytesOf(tensor: Tensor): number {
  return elementsOf(tensor.shape) * BYTES[tensor.dtype];
}

/** Where a tensor begins in its storage, in bytes. */
export function byteOffsetOf({ offset, dtype }: Tensor): number {
  return offset * BYTES[dtype];
}

/** Words of four bytes that a tensor takes. */
export function wordsOf(tensor: Tensor): number {
  return Math.ceil(bytesOf(tensor) / BYTES_PER_ELEMENT);
}

export function newTensor(
  label: string,
  shape: readonly number[],
  dtype: Dtype,
  lifetime: Storage["lifetime"],
): Tensor {
  const words = Math.ceil((elementsOf(shape) * BYTES[dtype]) / BYTES_PER_ELEMENT);
  return { storage: { label, words, lifetime }, offset: 0, shape, dtype };
}

/** Makes owned tensors: `Runner.zeros` with memory on its device, `shapeOnly` without any. */
export type Allocate = (label: string, shape: readonly number[], dtype?: Dtype) => Tensor;

/** An owned tensor without memory: enough to record with, not to run. */
export const shapeOnly: Allocate = (label, shape, dtype = "f32") => newTensor(label, shape, dtype, "owned");

/** The same elements under another shape. */
export function reshape(tensor: Tensor, shape: readonly number[]): Tensor {
  if (elementsOf(shape) !== elementsOf(tensor.shape)) {
    throw shapeError(tensor.storage.label, "reshape", tensor.shape, shape);
  }
  return { ...tensor, shape };
}

/** Rows `from` (inclusive) to `to` (exclusive) along the first axis, without a copy. */
export function rows(tensor: Tensor, from: number, to: number): Tensor {
  const [length = 0, ...rest] = tensor.shape;
  if (!(0 <= from && from <= to && to <= length)) {
    throw new Florence2Error(
      "shape_mismatch",
      `${tensor.storage.label}: rows ${from} to ${to} of [${tensor.shape}] do not exist`,
    );
  }
  return { ...tensor, offset: tensor.offset + from * elementsOf(rest), shape: [to - from, ...rest] };
}

/** How many rows of `bytes` each make the start of the next one bindable on every device. */
export function rowAlignment(rowBytes: number): number {
  let alignment = 1;
  while ((alignment * rowBytes) % VIEW_ALIGNMENT_BYTES !== 0) alignment *= 2;
  return alignment;
}

export function isBindable(tensor: Tensor): boolean {
  return byteOffsetOf(tensor) % VIEW_ALIGNMENT_BYTES === 0;
}

/** Throws unless the tensor has exactly this shape; `what` names it to the reader of the message. */
export function expectShape(tensor: Tensor, shape: readonly number[], what: string): void {
  if (tensor.shape.length !== shape.length || tensor.shape.some((size, axis) => size !== shape[axis])) {
    throw shapeError(tensor.storage.label, what, tensor.shape, shape);
  }
}

function shapeError(label: string, what: string, found: readonly number[], expected: readonly number[]) {
  return new Florence2Error(
    "shape_mismatch",
    `${what}: ${label} has shape [${found}], expected [${expected}]`,
    {
      found,
      expected,
    },
  );
}
