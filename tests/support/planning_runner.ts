import { planMemory } from "../../core/plan.ts";
import { PORTABLE_PROFILE, type Recording } from "../../core/recording.ts";
import type { Program, Runner } from "../../core/runner.ts";
import {
  BYTES_PER_ELEMENT,
  bytesOf,
  type Dtype,
  newTensor,
  type Storage,
  type Tensor,
  type TensorData,
  wordsOf,
} from "../../core/tensor.ts";

/** Allocates and computes nothing; counts the memory that tensors and programs would take on a device. */
export class PlanningRunner implements Runner {
  readonly kind = "gpu";
  readonly name = "a plan";
  readonly profile = PORTABLE_PROFILE;
  readonly #held = new Set<Storage>();
  #bytes = 0;
  #peakBytes = 0;

  get memory() {
    return { bytes: this.#bytes, peakBytes: this.#peakBytes };
  }

  zeros(label: string, shape: readonly number[], dtype: Dtype = "f32"): Tensor {
    const tensor = newTensor(label, shape, dtype, "owned");
    this.#held.add(tensor.storage);
    this.#count(tensor.storage.words);
    return tensor;
  }

  upload(label: string, shape: readonly number[], data: TensorData): Tensor {
    return this.zeros(label, shape, data instanceof Uint32Array ? "u32" : "f32");
  }

  write(tensor: Tensor, data: TensorData): void {
    if (data.byteLength !== bytesOf(tensor))
      throw new Error(`${tensor.storage.label}: ${data.byteLength} bytes`);
  }

  copy(): void {}

  async read(tensor: Tensor): Promise<TensorData> {
    return tensor.dtype === "f32" ? new Float32Array(wordsOf(tensor)) : new Uint32Array(wordsOf(tensor));
  }

  free({ storage }: Tensor): void {
    if (this.#held.delete(storage)) this.#count(-storage.words);
  }

  async settle(): Promise<void> {}

  async compile(): Promise<void> {}

  async prepare(recording: Recording): Promise<Program> {
    const words = planMemory(recording).blocks.reduce((sum, block) => sum + block, 0);
    this.#count(words);
    return { run: async () => {}, dispose: () => this.#count(-words) };
  }

  dispose(): void {}

  #count(words: number): void {
    this.#bytes += words * BYTES_PER_ELEMENT;
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytes);
  }
}
