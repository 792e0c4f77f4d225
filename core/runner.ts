import type { DeviceProfile, Recording } from "./recording.ts";
import type { Dtype, Tensor, TensorData } from "./tensor.ts";

/**
 * Holds tensors and runs recordings: on a GPU (`gpu/gpu_runner.ts`) or on the CPU (`cpu/cpu_runner.ts`).
 *
 * A runner knows memory and kernels, no shapes of networks. A program's dispatches run in order, and programs in the
 * order in which they were started. Errors of a device may surface late: they reject the call in flight, or else the
 * next one. Owned tensors keep their content between runs and belong to the caller, who frees them; temporaries
 * belong to their program. `dispose` frees the rest.
 */
export interface Runner {
  readonly kind: "gpu" | "cpu";
  /** The adapter or the engine, for people. */
  readonly name: string;
  readonly profile: DeviceProfile;
  /** Device memory now in use, and its peak, in bytes. */
  readonly memory: { readonly bytes: number; readonly peakBytes: number };

  /** An owned tensor filled with zeros. */
  zeros(label: string, shape: readonly number[], dtype?: Dtype): Tensor;
  /** An owned tensor with this content. */
  upload(label: string, shape: readonly number[], data: TensorData): Tensor;
  /** Replaces the whole content of an owned tensor. */
  write(tensor: Tensor, data: TensorData): void;
  /** The memory of an owned tensor, to be written to in the place of `write`; `undefined` where nobody else may. */
  view?(tensor: Tensor): Uint8Array<ArrayBuffer> | undefined;
  /** Copies the elements of one tensor into another of as many, which is owned. */
  copy(from: Tensor, to: Tensor): void;
  /** Reads back an owned tensor, or one that a recording keeps. */
  read(tensor: Tensor): Promise<TensorData>;
  free(tensor: Tensor): void;
  /** Waits until everything written so far has arrived, and rejects with what went wrong on the way. */
  settle(): Promise<void>;

  /** Compiles what a recording calls, so that `prepare` finds it done. Its tensors need not be on the device. */
  compile(recording: Recording): Promise<void>;
  /** Compiles, plans and allocates once; the program then runs as often as wanted. */
  prepare(recording: Recording): Promise<Program>;
  /**
   * Ends everything that this runner made, at once. A second call does nothing.
   *
   * @returns a promise where the device still answers calls that were made before: it resolves when it has
   */
  dispose(): void | Promise<void>;
}

export interface Program {
  /** Runs all dispatches, in order, `times` times over. Rejects with the errors of the device. */
  run(signal?: AbortSignal, times?: number): Promise<void>;
  /** Gives the program's memory back. Kept tensors can't be read any more. */
  dispose(): void;
}
