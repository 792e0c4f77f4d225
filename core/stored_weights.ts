import { widenFloat16 } from "./float16.ts";
import type { Dtype, TensorData } from "./tensor.ts";

/** Weights as a device holds them, for who computes on the CPU. */
export class StoredWeights {
  readonly #data: TensorData;
  readonly #dtype: Dtype;

  /** @param data the elements, or the words that they are packed into */
  constructor(data: TensorData, dtype: Dtype) {
    this.#data = data;
    this.#dtype = dtype;
  }

  /** `count` weights from `start` on. Not to be written to. */
  values(start: number, count: number): Float32Array {
    const { buffer, byteOffset } = this.#data;
    if (this.#dtype === "f32") return new Float32Array(buffer, byteOffset + 4 * start, count);
    const values = new Float32Array(count);
    widenFloat16(new Uint16Array(buffer, byteOffset + 2 * start, count), values);
    return values;
  }
}
