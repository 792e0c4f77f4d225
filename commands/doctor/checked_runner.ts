import { runTwin } from "../../core/cpu/cpu_runner.ts";
import { StoredWeights } from "../../core/dtypes/stored_weights.ts";
import { type Dispatch, Recording } from "../../core/recording.ts";
import type { Program, Runner } from "../../core/runner.ts";
import { type Dtype, elementsOf, type Storage, type Tensor, type TensorData } from "../../core/tensor.ts";

/** How often a shader was called, and how far its results are from those of the kernel's twin. */
export interface KernelCheck {
  /** `kernel/variant` of a GPU, `kernel` of the CPU engine. */
  readonly name: string;
  /** Calls recorded. */
  calls: number;
  /** Calls compared: the first of every kind, that is of every set of shapes and constants. */
  compared: number;
  /** The largest |found - expected| / (RMS + |expected|), RMS being that of what is expected. */
  worst: number;
  /** The first wrong number, after the stage of the model that it is in. */
  fault?: string;
}

/** Shaders and twins differ by rounding, far below this share; whole numbers must be equal. */
const TOLERANCE = 1e-3;

/**
 * Runs recordings on another runner call by call, and compares calls with the twins of their kernels: both are
 * given what the device holds, so that a fault is that of the kernel it is found in. Slow; for finding faults.
 */
export class CheckedRunner implements Runner {
  readonly #inner: Runner;
  readonly #kernels = new Map<string, KernelCheck>();
  readonly #compared = new Set<string>();
  /** Owned tensors in place of temporaries, which have to outlive a call here. */
  readonly #standIns = new Map<Storage, Storage>();
  readonly #damaged = new Set<string>();

  constructor(inner: Runner) {
    this.#inner = inner;
  }

  /** In the order of their first calls. */
  get kernels(): readonly KernelCheck[] {
    return [...this.#kernels.values()];
  }

  /** Names of tensors into which something was written that is NaN or infinite. */
  get damaged(): readonly string[] {
    return [...this.#damaged];
  }

  get kind() {
    return this.#inner.kind;
  }
  get name() {
    return this.#inner.name;
  }
  get profile() {
    return this.#inner.profile;
  }
  get memory() {
    return this.#inner.memory;
  }

  zeros(label: string, shape: readonly number[], dtype?: Dtype): Tensor {
    return this.#inner.zeros(label, shape, dtype);
  }

  upload(label: string, shape: readonly number[], data: TensorData): Tensor {
    const tensor = this.#inner.upload(label, shape, data);
    this.#noteDamage(tensor, data);
    return tensor;
  }

  write(tensor: Tensor, data: TensorData): void {
    this.#noteDamage(tensor, data);
    this.#inner.write(tensor, data);
  }

  copy(from: Tensor, to: Tensor): void {
    this.#inner.copy(this.#standIn(from), this.#standIn(to));
  }

  read(tensor: Tensor): Promise<TensorData> {
    return this.#inner.read(this.#standIn(tensor));
  }

  free(tensor: Tensor): void {
    this.#inner.free(tensor);
  }

  settle(): Promise<void> {
    return this.#inner.settle();
  }

  dispose(): void {
    this.#inner.dispose();
  }

  compile(recording: Recording): Promise<void> {
    return this.#inner.compile(recording);
  }

  async prepare(recording: Recording): Promise<Program> {
    const temporaries: Tensor[] = [];
    const calls: { readonly dispatch: Dispatch; readonly counter?: Tensor; readonly program: Program }[] = [];
    for (const recorded of recording.dispatches) {
      for (const { storage, dtype } of recorded.tensors) {
        if (storage.lifetime === "owned" || this.#standIns.has(storage)) continue;
        const standIn = this.#inner.zeros(storage.label, [storage.words], dtype);
        this.#standIns.set(storage, standIn.storage);
        temporaries.push(standIn);
      }
      const dispatch = { ...recorded, tensors: recorded.tensors.map((tensor) => this.#standIn(tensor)) };
      const call = new Recording({ profile: this.profile });
      call.dispatches.push(dispatch);
      const counter = recording.counterOf(recorded);
      if (counter) call.runWhile(counter);
      calls.push({ dispatch, counter, program: await this.#inner.prepare(call) });
      this.#checkOf(dispatch).calls++;
    }
    return {
      run: async (signal, times = 1) => {
        for (let time = 0; time < times; time++) {
          for (const { dispatch, counter, program } of calls) {
            const isIdle = counter !== undefined && (await this.read(counter))[0] === 0;
            if (isIdle || this.#compared.has(kindOf(dispatch))) await program.run(signal);
            else await this.#compare(dispatch, program, signal);
          }
        }
      },
      dispose: () => {
        for (const { program } of calls) program.dispose();
        for (const tensor of temporaries) this.#inner.free(tensor);
      },
    };
  }

  async #compare(dispatch: Dispatch, program: Program, signal?: AbortSignal): Promise<void> {
    const { kernel, tensors, scope } = dispatch;
    const expected = await this.#contents(dispatch);
    await program.run(signal);
    const found = await this.#contents(dispatch);
    runTwin(dispatch, expected);
    const check = this.#checkOf(dispatch);
    for (const [i, [binding, { access }]] of Object.entries(kernel.bindings).entries()) {
      if (access === "read") continue;
      const { worst, at } = largestError(found[i]!, expected[i]!);
      check.worst = Math.max(check.worst, worst);
      if (worst <= (tensors[i]!.dtype === "u32" ? 0 : TOLERANCE)) continue;
      const numbers = `element ${at} of ${binding} [${tensors[i]!.shape}] is ${found[i]![at]} instead of ${expected[i]![at]}`;
      check.fault ??= `${scope || "a call outside the layers"}: ${numbers}`;
    }
    check.compared++;
    this.#compared.add(kindOf(dispatch));
  }

  async #contents({ tensors }: Dispatch): Promise<TensorData[]> {
    const contents: TensorData[] = [];
    for (const tensor of tensors) contents.push(await this.#inner.read(tensor));
    return contents;
  }

  #checkOf({ kernel, variant }: Dispatch): KernelCheck {
    const name = this.kind === "gpu" ? `${kernel.name}/${variant.label}` : kernel.name;
    const check = this.#kernels.get(name) ?? { name, calls: 0, compared: 0, worst: 0 };
    this.#kernels.set(name, check);
    return check;
  }

  #standIn(tensor: Tensor): Tensor {
    return { ...tensor, storage: this.#standIns.get(tensor.storage) ?? tensor.storage };
  }

  #noteDamage({ storage, shape, dtype }: Tensor, data: TensorData): void {
    if (dtype === "u32") return;
    const values = new StoredWeights(data, dtype).values(0, elementsOf(shape));
    if (!values.every(Number.isFinite)) this.#damaged.add(storage.label);
  }
}

/** Calls of one kind run the same code over tensors of the same shapes and formats. */
function kindOf({ kernel, variant, tensors, constants }: Dispatch): string {
  return JSON.stringify([
    kernel.name,
    variant.label,
    constants,
    tensors.map(({ shape, dtype }) => [dtype, ...shape]),
  ]);
}

/** Infinite where one side alone is NaN or infinite. */
function largestError(found: TensorData, expected: TensorData): { worst: number; at: number } {
  let [squares, count] = [0, 0];
  for (const value of expected) {
    if (!Number.isFinite(value)) continue;
    squares += value * value;
    count++;
  }
  const rms = Math.sqrt(squares / Math.max(count, 1));
  let [worst, at] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const [f, e] = [found[i]!, expected[i]!];
    if (Object.is(f, e) || f === e) continue;
    const error = Math.abs(f - e) / (rms + Math.abs(e));
    if (Number.isNaN(error) || error > worst) [worst, at] = [Number.isNaN(error) ? Infinity : error, i];
    if (worst === Infinity) break;
  }
  return { worst, at };
}
