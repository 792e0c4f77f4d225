import { Florence2Error, quote } from "../errors.ts";
import { BYTES_PER_ELEMENT, type TensorData } from "../tensor.ts";
import { narrowToFloat16, widenFloat16 } from "./float16.ts";
import { dequantizeGroups, GROUP, quantizeGroups, WORDS_OF_GROUP } from "./integers.ts";
import { BLOCK, type BlockDtype, dequantize, isBlockDtype, quantize, wordsOfBlock } from "./quantization.ts";

/** The ways in which tensors store weights. */
export type PackedDtype = "f32" | "f16" | BlockDtype | "i8";

/** Weights as a device holds them, for who computes on the CPU. */
export class StoredWeights {
  readonly dtype: PackedDtype;
  readonly #data: TensorData;

  /** @param data the elements, or the words that they are packed into */
  constructor(data: TensorData, dtype: PackedDtype) {
    this.dtype = dtype;
    this.#data = data;
  }

  /** `count` weights from `start` on. Not to be written to. */
  values(start: number, count: number): Float32Array {
    const { buffer, byteOffset } = this.#data;
    if (this.dtype === "f32") return new Float32Array(buffer, byteOffset + BYTES_PER_ELEMENT * start, count);
    if (isBlockDtype(this.dtype)) return this.#ofBlocks(this.dtype, start, count);
    if (this.dtype === "i8") return this.#ofGroups(start, count);
    const values = new Float32Array(count);
    widenFloat16(new Uint16Array(buffer, byteOffset + 2 * start, count), values);
    return values;
  }

  /** The words of i8 from the group on in which `start` is. */
  groups(start: number): Uint32Array {
    const { buffer, byteOffset, length } = this.#data;
    const from = Math.floor(start / GROUP) * WORDS_OF_GROUP;
    return new Uint32Array(buffer, byteOffset + BYTES_PER_ELEMENT * from, length - from);
  }

  #ofGroups(start: number, count: number): Float32Array {
    const before = start % GROUP;
    const values = new Float32Array(Math.ceil((before + count) / GROUP) * GROUP);
    dequantizeGroups(this.groups(start), values);
    return values.subarray(before, before + count);
  }

  #ofBlocks(dtype: BlockDtype, start: number, count: number): Float32Array {
    const first = Math.floor(start / BLOCK);
    const values = new Float32Array((Math.ceil((start + count) / BLOCK) - first) * BLOCK);
    const { buffer, byteOffset, length } = this.#data;
    const from = first * wordsOfBlock(dtype);
    const words = new Uint32Array(buffer, byteOffset + BYTES_PER_ELEMENT * from, length - from);
    dequantize(words, dtype, values);
    return values.subarray(start - first * BLOCK, start - first * BLOCK + count);
  }
}

/**
 * Weights as a device holds them: what `StoredWeights` reads.
 *
 * @param name the tensor's, for the error
 * @throws {Florence2Error} `option_invalid` for a weight that the dtype cannot hold
 */
export function packWeights(values: Float32Array<ArrayBuffer>, dtype: PackedDtype, name: string): TensorData {
  if (dtype === "f32") return values;
  if (isBlockDtype(dtype)) return quantize(values, dtype, name);
  if (dtype === "i8") return quantizeGroups(values, name);
  return new Uint32Array(toHalves(values, name).buffer);
}

/** The nearest float16 of each value. Throws option_invalid, naming the tensor, for values beyond their range. */
function toHalves(values: Float32Array, name: string): Uint16Array<ArrayBuffer> {
  // Two to a word, the last perhaps alone.
  const halves = new Uint16Array(2 * Math.ceil(values.length / 2));
  narrowToFloat16(values, halves);
  const i = halves.findIndex((half, i) => (half & 0x7fff) === 0x7c00 && Number.isFinite(values[i]));
  if (i < 0) return halves;
  throw new Florence2Error(
    "option_invalid",
    `${quote(name)} holds ${values[i]}, beyond float16, which ends at 65504. Load this model with dtype "f32".`,
    { name, found: values[i] },
  );
}
