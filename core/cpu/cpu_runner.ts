import { type PackedDtype, StoredWeights } from "../dtypes/stored_weights.ts";
import { Florence2Error } from "../errors.ts";
import type { Kernel } from "../kernel.ts";
import { planMemory } from "../plan.ts";
import { type Dispatch, PORTABLE_PROFILE, type Recording } from "../recording.ts";
import type { Program, Runner } from "../runner.ts";
import {
  BYTES_PER_ELEMENT,
  byteOffsetOf,
  type Dtype,
  newTensor,
  type Storage,
  type Tensor,
  type TensorData,
  wordsOf,
} from "../tensor.ts";

/** The event loop is given a turn at least about this often. */
const YIELD_MS = 50;

/**
 * Runs recordings with the kernels' plain twins: slow, exact, and everywhere. It is what serves where
 * there is no GPU, and what the shaders are compared with.
 */
export class CpuRunner implements Runner {
  readonly kind = "cpu";
  readonly name = "CPU twins of the kernels (no GPU in use)";
  readonly profile = PORTABLE_PROFILE;
  readonly #memory = new Map<Storage, ArrayBuffer>();
  #bytes = 0;
  #peakBytes = 0;
  #disposed = false;

  get memory() {
    return { bytes: this.#bytes, peakBytes: this.#peakBytes };
  }

  zeros(label: string, shape: readonly number[], dtype: Dtype = "f32"): Tensor {
    this.#checkUsable();
    const tensor = newTensor(label, shape, dtype, "owned");
    this.#allocate(tensor.storage);
    return tensor;
  }

  upload(label: string, shape: readonly number[], data: TensorData): Tensor {
    const tensor = this.zeros(label, shape, data instanceof Uint32Array ? "u32" : "f32");
    this.write(tensor, data);
    return tensor;
  }

  write(tensor: Tensor, data: TensorData): void {
    this.#array(tensor).set(data);
  }

  copy(from: Tensor, to: Tensor): void {
    this.#array(to).set(this.#array(from));
  }

  async read(tensor: Tensor): Promise<TensorData> {
    return this.#array(tensor).slice();
  }

  free(tensor: Tensor): void {
    this.#release(tensor.storage);
  }

  async settle(): Promise<void> {
    this.#checkUsable();
  }

  async compile(): Promise<void> {}

  async prepare(recording: Recording): Promise<Program> {
    this.#checkUsable();
    const plan = planMemory(recording);
    const blocks = plan.blocks.map((words) => this.#count(new ArrayBuffer(words * BYTES_PER_ELEMENT)));
    for (const [storage, block] of plan.blockOf) this.#memory.set(storage, blocks[block]!);
    return {
      run: async (signal, times = 1) => {
        let resumed = performance.now();
        for (const dispatch of Array.from({ length: times }, () => recording.dispatches).flat()) {
          signal?.throwIfAborted();
          const counter = recording.counterOf(dispatch);
          if (counter && this.#array(counter)[0] === 0) continue;
          this.#runDispatch(dispatch);
          // Twins take their time: let timers and aborts through now and then.
          if (performance.now() - resumed < YIELD_MS) continue;
          await new Promise((resolve) => setTimeout(resolve));
          resumed = performance.now();
        }
      },
      dispose: () => {
        for (const storage of plan.blockOf.keys()) this.#memory.delete(storage);
        for (const block of blocks) this.#bytes -= block.byteLength;
      },
    };
  }

  dispose(): void {
    this.#memory.clear();
    this.#bytes = 0;
    this.#disposed = true;
  }

  #runDispatch(dispatch: Dispatch): void {
    runTwin(
      dispatch,
      dispatch.tensors.map((tensor) => this.#array(tensor)),
    );
  }

  #array(tensor: Tensor): TensorData {
    const memory = this.#memory.get(tensor.storage);
    if (!memory) throw new Florence2Error("disposed", `${tensor.storage.label}: this tensor was freed`);
    const View = tensor.dtype === "f32" ? Float32Array : Uint32Array;
    return new View(memory, byteOffsetOf(tensor), wordsOf(tensor));
  }

  #allocate(storage: Storage): void {
    this.#memory.set(storage, this.#count(new ArrayBuffer(storage.words * BYTES_PER_ELEMENT)));
  }

  #release(storage: Storage): void {
    this.#bytes -= this.#memory.get(storage)?.byteLength ?? 0;
    this.#memory.delete(storage);
  }

  #count(memory: ArrayBuffer): ArrayBuffer {
    this.#bytes += memory.byteLength;
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytes);
    return memory;
  }

  #checkUsable(): void {
    if (this.#disposed) throw new Florence2Error("disposed", "this runner was disposed");
  }
}

/** Calls the twin of a dispatch's kernel on the content of its tensors, in their order. */
export function runTwin(
  { kernel, tensors, params, constants }: Dispatch,
  arrays: readonly TensorData[],
): void {
  const named = Object.fromEntries(
    Object.entries(kernel.bindings).map(([name, { dtype }], i) => [
      name,
      dtype === "weights" ? new StoredWeights(arrays[i]!, tensors[i]!.dtype as PackedDtype) : arrays[i],
    ]),
  );
  kernel.twin(named as Parameters<Kernel["twin"]>[0], params, constants);
}
