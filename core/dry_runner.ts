import { Florence2Error } from "./errors.ts";
import type { Recording } from "./recording.ts";
import type { Program, Runner } from "./runner.ts";
import { type Dtype, newTensor, type Tensor, type TensorData, wordsOf } from "./tensor.ts";

/** Told of what would run: by the time it resolves, it may have been compiled. */
export type OnRecording = (recording: Recording) => Promise<void>;

/**
 * Stands in for another runner, computes nothing and holds nothing: somebody is told of whatever is prepared here.
 * Tensors have shapes and are nowhere; what is read is zeros.
 */
export class DryRunner implements Runner {
  readonly #target: Runner;
  readonly #onRecording: OnRecording;
  readonly #told: Promise<void>[] = [];
  readonly memory = { bytes: 0, peakBytes: 0 };

  constructor(target: Runner, onRecording: OnRecording) {
    this.#target = target;
    this.#onRecording = onRecording;
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

  /** Waits for whoever was told. */
  async settle(): Promise<void> {
    await Promise.all(this.#told);
  }

  compile(recording: Recording): Promise<void> {
    return this.#onRecording(recording);
  }

  /** Its program does nothing. */
  async prepare(recording: Recording, cpuUntil?: string): Promise<Program> {
    if (cpuUntil !== undefined)
      throw new Florence2Error("option_invalid", `nothing runs here, up to ${cpuUntil} or further`);
    this.#told.push(this.compile(recording));
    return { run: async () => {}, dispose: () => {} };
  }

  dispose(): void {}
}
