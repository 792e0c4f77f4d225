import { Florence2Error } from "./errors.ts";
import type { Recording } from "./recording.ts";
import type { Program, Runner } from "./runner.ts";
import { type Dtype, newTensor, type Tensor, type TensorData, wordsOf } from "./tensor.ts";

/**
 * Computes nothing and holds nothing: whatever is prepared here is compiled for another runner, which then finds it
 * done. Tensors have shapes and are nowhere; what is read is zeros.
 */
export class CompilingRunner implements Runner {
  readonly #target: Runner;
  readonly #compiled: Promise<void>[] = [];
  readonly memory = { bytes: 0, peakBytes: 0 };

  constructor(target: Runner) {
    this.#target = target;
  }

  get kind() {
    return this.#target.kind;
  }
  get name() {
    return this.#target.name;
  }
  get profile() {
    return this.#target.profile;
  }

  zeros(label: string, shape: readonly number[], dtype: Dtype = "f32"): Tensor {
    return newTensor(label, shape, dtype, "owned");
  }

  upload(label: string, shape: readonly number[], data: TensorData): Tensor {
    return this.zeros(label, shape, data instanceof Uint32Array ? "u32" : "f32");
  }

  write(): void {}

  copy(): void {}

  async read(tensor: Tensor): Promise<TensorData> {
    return tensor.dtype === "f32" ? new Float32Array(wordsOf(tensor)) : new Uint32Array(wordsOf(tensor));
  }

  free(): void {}

  /** Waits until everything is compiled. */
  async settle(): Promise<void> {
    await Promise.all(this.#compiled);
  }

  compile(recording: Recording): Promise<void> {
    return this.#target.compile(recording);
  }

  /** Begins to compile; its program does nothing. */
  async prepare(recording: Recording, cpuUntil?: string): Promise<Program> {
    if (cpuUntil !== undefined)
      throw new Florence2Error("option_invalid", `nothing runs here, up to ${cpuUntil} or further`);
    this.#compiled.push(this.compile(recording));
    return { run: async () => {}, dispose: () => {} };
  }

  dispose(): void {}
}
