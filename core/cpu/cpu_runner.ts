import { type PackedDtype, StoredWeights } from "../dtypes/stored_weights.ts";
import { Florence2Error } from "../errors.ts";
import type { Kernel } from "../kernel.ts";
import { planMemory } from "../plan.ts";
import { canShareMemory } from "../platform.ts";
import type { DeviceProfile, Dispatch, Recording } from "../recording.ts";
import type { Program, Runner } from "../runner.ts";
import {
  BYTES_PER_ELEMENT,
  type Dtype,
  newTensor,
  type Storage,
  type Tensor,
  type TensorData,
} from "../tensor.ts";
import { Turns, turn } from "../turn.ts";
import { Arena } from "./arena.ts";
import { compiledCalls } from "./compiled_kernels.ts";
import { Engine, MOST_THREADS } from "./engine.ts";
import { placeOfI8 } from "./product_speeds.ts";
import type { CompiledCall } from "./protocol.ts";
import { type DispatchCalls, joinInRounds } from "./rounds.ts";
import { type Packing, TensorMemory } from "./tensor_memory.ts";
import type { CallList, OnTimes } from "./threads.ts";

interface CpuRunnerOptions {
  /** Called with a sentence when threads cannot be started. Default: `console.warn`. */
  readonly onWarning?: ((message: string) => void) | undefined;
  /** Default: as many as this process may use processors, at most 16. */
  readonly threads?: number;
  /** Asks how fast products of 8 bits are, for `profile.i8`; takes a tenth of a second. */
  readonly asksForI8?: boolean;
  /** Fills fresh memory with NaN and watches the memory behind every tensor. For tests. */
  readonly debug?: boolean;
  /** Told how long each pass of a dispatch took, all threads together, and which pass was its last. For benches. */
  readonly onCall?: (dispatch: Dispatch, ms: number, isLast: boolean) => void;
}

/** What a program does next: calls that the engine runs, or one that a twin serves. */
type Step =
  | { readonly list: CallList; readonly calls: readonly Dispatch[] }
  | { readonly twin: Dispatch; readonly counter?: Tensor };

/**
 * Runs recordings on the CPU, all tensors in one memory: with the kernels that were compiled to WebAssembly, on several
 * threads, or else with their plain twins. Twins alone are slow, exact, and what everything else is compared with.
 */
export class CpuRunner implements Runner {
  readonly kind = "cpu";
  readonly name: string;
  readonly profile: DeviceProfile;
  readonly #arena: Arena;
  readonly #engine: Engine | undefined;
  readonly #tensors: TensorMemory;
  readonly #onCall: CpuRunnerOptions["onCall"];
  /** Ends with the last run: they share threads and scratch memory, so each waits for the one before. */
  #last: Promise<unknown> = Promise.resolve();
  #disposed = false;

  /** A runner with the compiled kernels where WebAssembly has SIMD, else with twins alone. */
  static async open(options: CpuRunnerOptions = {}): Promise<CpuRunner> {
    const shared = canShareMemory();
    const arena = new Arena(shared);
    const engine = await Engine.open(arena, shared, options.threads, undefined, options.onWarning);
    const speeds = options.asksForI8 && (await engine?.productSpeeds());
    return new CpuRunner(arena, engine, options, speeds ? placeOfI8(speeds) : undefined);
  }

  /** Without an engine: with twins alone. */
  constructor(
    arena = new Arena(false),
    engine?: Engine,
    { debug = false, onCall }: CpuRunnerOptions = {},
    i8: DeviceProfile["i8"] = engine ? undefined : "slower",
  ) {
    this.#arena = arena;
    this.#engine = engine;
    this.#tensors = new TensorMemory(arena, debug);
    this.#onCall = onCall;
    // Nothing has to be bound: tensors may be as large as the memory.
    this.profile = { features: new Set(), maxBindingBytes: 2 ** 32, workgroups: MOST_THREADS, i8 };
    this.name = engine
      ? `CPU: WebAssembly with ${engine.form}, ${engine.threads} thread${engine.threads === 1 ? "" : "s"}`
      : "CPU: plain twins of the kernels";
  }

  get memory() {
    const { bytes, peakBytes } = this.#arena.usage;
    return { bytes: this.#disposed ? 0 : bytes, peakBytes };
  }

  /** The engine's SIMD form, threads and speeds; `undefined` if twins compute. */
  get engine(): Pick<Engine, "form" | "threads" | "productSpeeds"> | undefined {
    return this.#engine;
  }

  zeros(label: string, shape: readonly number[], dtype: Dtype = "f32"): Tensor {
    this.#checkUsable();
    const tensor = newTensor(label, shape, dtype, "owned");
    this.#tensors.own(tensor);
    return tensor;
  }

  upload(label: string, shape: readonly number[], data: TensorData): Tensor {
    const tensor = this.zeros(label, shape, data instanceof Uint32Array ? "u32" : "f32");
    this.write(tensor, data);
    return tensor;
  }

  write(tensor: Tensor, data: TensorData): void {
    this.#checkUsable();
    this.#tensors.unpack(tensor);
    this.#tensors.array(tensor).set(data);
  }

  view(tensor: Tensor): Uint8Array<ArrayBuffer> | undefined {
    this.#checkUsable();
    // Memory that is not shared moves when it grows.
    if (!this.#arena.isShared) return undefined;
    this.#tensors.unpack(tensor);
    const { byteOffset, byteLength } = this.#tensors.array(tensor);
    return new Uint8Array(this.#arena.memory.buffer, byteOffset, byteLength);
  }

  copy(from: Tensor, to: Tensor): void {
    this.#tensors.unpack(to);
    this.#tensors.array(to).set(this.#tensors.array(from));
  }

  async read(tensor: Tensor): Promise<TensorData> {
    this.#checkUsable();
    return this.#tensors.content(tensor).slice();
  }

  free(tensor: Tensor): void {
    this.#tensors.free(tensor);
  }

  async settle(): Promise<void> {
    this.#checkUsable();
  }

  async compile(): Promise<void> {}

  async prepare(recording: Recording): Promise<Program> {
    this.#checkUsable();
    // Recording and planning take some milliseconds each: everything else that waits has its turn between them.
    await turn();
    const plan = planMemory(recording);
    await turn();
    this.#checkUsable();
    const spans = this.#tensors.share(plan.blocks, plan.blockOf);
    const bound = boundStorages(recording);
    const { steps, scratch } = await this.#stepsOf(recording).catch((error: unknown) => {
      this.#tensors.unshare(spans, plan.blockOf.keys());
      throw error;
    });
    const run = async (times: number, signal?: AbortSignal) => {
      const scratchAt = this.#engine?.scratch(scratch) ?? 0;
      const turns = new Turns();
      for (const step of steps) {
        signal?.throwIfAborted();
        if ("list" in step) {
          await step.list.run(times, scratchAt, signal, this.#onTimes(step.calls));
          continue;
        }
        if (step.counter && this.#tensors.array(step.counter)[0] === 0) continue;
        this.#runTwin(step.twin);
        if (turns.areDue) await turns.take();
      }
    };
    return {
      run: async (signal, times = 1) => {
        this.#checkUsable();
        await this.#inTurn(async () => {
          this.#tensors.poison(spans, bound);
          if (steps.length === 1) await run(times, signal);
          else for (let time = 0; time < times; time++) await run(1, signal);
          this.#tensors.checkGuards(bound);
        });
      },
      dispose: () => {
        for (const step of steps) if ("list" in step && !this.#disposed) step.list.forget();
        this.#tensors.unshare(spans.splice(0), plan.blockOf.keys());
      },
    };
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#engine?.dispose();
    this.#arena.dispose();
    this.#tensors.clear();
  }

  #onTimes(calls: readonly Dispatch[]): OnTimes | undefined {
    const onCall = this.#onCall;
    return (
      onCall &&
      ((times) =>
        times.forEach(({ call, ms }) => void onCall(calls[call]!, ms, calls[call + 1] !== calls[call])))
    );
  }

  #inTurn(body: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(body);
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Dispatches in their order: neighbours with compiled kernels are run in one go. */
  async #stepsOf(recording: Recording): Promise<{ steps: Step[]; scratch: number }> {
    const steps: Step[] = [];
    let compiled: DispatchCalls[] = [];
    let dispatches: Dispatch[] = [];
    let scratch = 0;
    const endList = () => {
      if (compiled.length > 0) {
        // Times of single calls are only known between rounds.
        const lists = this.#onCall ? compiled.map((one) => joinInRounds([one])) : [joinInRounds(compiled)];
        const calls = lists.flatMap((list) => list.calls);
        const of = lists.flatMap((list, i) => list.dispatchOf.map((index) => dispatches[i + index]!));
        steps.push({ list: this.#engine!.executor.keep(calls), calls: of });
        scratch = Math.max(scratch, ...lists.map((list) => list.scratch));
      }
      compiled = [];
      dispatches = [];
    };
    if (this.#engine) await this.#pack(recording);
    for (const dispatch of recording.dispatches) {
      const counter = recording.counterOf(dispatch);
      const calls = this.#compiled(dispatch, counter);
      if (calls) {
        compiled.push(calls);
        dispatches.push(dispatch);
      } else {
        endList();
        steps.push({ twin: dispatch, counter });
      }
    }
    endList();
    return { steps, scratch };
  }

  #compiled(
    { kernel, tensors, params, constants, row }: Dispatch,
    counter: Tensor | undefined,
  ): DispatchCalls | undefined {
    if (!this.#engine) return undefined;
    const formats: number[] = [];
    for (const [i, { formats: isWeights }] of Object.values(kernel.bindings).entries()) {
      if (!isWeights) continue;
      const format = this.#tensors.formatOf(tensors[i]!);
      if (format === undefined) return undefined;
      formats.push(format);
    }
    const compiled = compiledCalls(this.#engine.exports, kernel, {
      pointers: tensors.map((tensor) => this.#tensors.address(tensor)),
      formats,
      params,
      constants,
      counter: counter ? this.#tensors.address(counter) : 0,
    });
    return compiled && { ...compiled, row };
  }

  /** Turns the rows of all weights that a recording reads into panels, unless they are already. */
  async #pack(recording: Recording): Promise<void> {
    if (this.#packingsOf(recording).length === 0) return;
    await this.#inTurn(async () => {
      // What another recording reads as well may have been packed by now.
      const packings = this.#packingsOf(recording);
      const large = await this.#findLargeHalves(packings.filter(({ isHalf }) => isHalf));
      await this.#runOnce(
        packings.map((packing) => {
          const format = this.#tensors.pack(packing.tensor, large.has(packing));
          return { name: "pack_panels", args: [packing.at, packing.K, format], units: packing.panels };
        }),
      );
    });
  }

  #packingsOf({ dispatches }: Recording): Packing[] {
    const packings = new Map<Storage, Packing>();
    for (const { kernel, tensors } of dispatches) {
      for (const [i, { formats }] of Object.values(kernel.bindings).entries()) {
        const packing = formats && this.#tensors.packing(tensors[i]!);
        if (packing) packings.set(packing.tensor.storage, packing);
      }
    }
    return [...packings.values()];
  }

  /** Those with weights of 128 or more. */
  async #findLargeHalves(packings: readonly Packing[]): Promise<ReadonlySet<Packing>> {
    const at = this.#engine!.scratch(packings.length * BYTES_PER_ELEMENT);
    const isLarge = new Uint32Array(this.#arena.memory.buffer, at, packings.length).fill(0);
    await this.#runOnce(
      packings.map(({ at: matrix, K, panels }, i) => {
        const args = [matrix, K, at + i * BYTES_PER_ELEMENT];
        return { name: "find_large_halves", args, units: panels };
      }),
    );
    return new Set(packings.filter((_, i) => isLarge[i] !== 0));
  }

  async #runOnce(calls: readonly Omit<CompiledCall, "counter">[]): Promise<void> {
    if (calls.length === 0) return;
    const list = this.#engine!.executor.keep(calls.map((call) => ({ ...call, counter: 0 })));
    await list.run(1, 0);
    list.forget();
  }

  #runTwin(dispatch: Dispatch): void {
    runTwin(
      dispatch,
      dispatch.tensors.map((tensor) => this.#tensors.content(tensor)),
    );
  }

  #checkUsable(): void {
    if (this.#disposed) throw new Florence2Error("disposed", "this runner was disposed");
  }
}

function boundStorages(recording: Recording): Set<Storage> {
  return new Set(recording.dispatches.flatMap(({ tensors }) => tensors.map(({ storage }) => storage)));
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
