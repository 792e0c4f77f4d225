import { type PackedDtype, StoredWeights } from "../dtypes/stored_weights.ts";
import { Florence2Error } from "../errors.ts";
import type { Kernel } from "../kernel.ts";
import { planMemory } from "../plan.ts";
import { canShareMemory } from "../platform.ts";
import type { DeviceProfile, Dispatch, Recording } from "../recording.ts";
import type { Program, Runner } from "../runner.ts";
import {
  BYTES_PER_ELEMENT,
  byteOffsetOf,
  type Dtype,
  elementsOf,
  newTensor,
  type Storage,
  type Tensor,
  type TensorData,
  wordsOf,
} from "../tensor.ts";
import { Arena, type Span } from "./arena.ts";
import { compiledCalls } from "./compiled_kernels.ts";
import { Engine } from "./engine.ts";
import { FORMAT_ROWS, FORMATS, PANEL, rowsOfPanels, wholePanels } from "./panels.ts";
import type { CompiledCall } from "./protocol.ts";
import type { CallList } from "./threads.ts";

/** While twins run, the event loop is given a turn at least about this often. */
const YIELD_MS = 50;

/** Debug runs watch this many words behind every tensor for writes past its end. */
const GUARD_WORDS = 64;
/** A quiet NaN that no arithmetic makes: what debug runs find where nothing was written. */
const POISON = 0x7fc0_dead;

interface CpuRunnerOptions {
  /** Default: as many as there are processors, at most 16. */
  readonly threads?: number;
  /** Fills fresh memory with NaN and watches the memory behind every tensor. For tests. */
  readonly debug?: boolean;
}

/** The memory of a storage. */
interface Held {
  readonly span: Span;
  /** Of an owned tensor, when it was made. */
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  /** Whether its rows have become panels. */
  isPacked: boolean;
}

/** What a program does next: calls that the engine runs, or one that a twin serves. */
type Step = { readonly list: CallList } | { readonly twin: Dispatch; readonly counter?: Tensor };

/**
 * Runs recordings on the CPU, all tensors in one memory: with the kernels that were compiled to WebAssembly, on several
 * threads, or else with their plain twins. Twins alone are slow, exact, and what everything else is compared with.
 */
export class CpuRunner implements Runner {
  readonly kind = "cpu";
  readonly name: string;
  /** Nothing has to be bound: tensors may be as large as the memory. */
  readonly profile: DeviceProfile = { features: new Set(), maxBindingBytes: 2 ** 32 };
  readonly #arena: Arena;
  readonly #engine: Engine | undefined;
  readonly #debug: boolean;
  readonly #held = new Map<Storage, Held>();
  /** Ends with the last run: they share threads and scratch memory, so each waits for the one before. */
  #last: Promise<unknown> = Promise.resolve();
  #disposed = false;

  /** A runner with the compiled kernels where WebAssembly has SIMD, else with twins alone. */
  static async open({ threads, debug }: CpuRunnerOptions = {}): Promise<CpuRunner> {
    const shared = canShareMemory();
    const arena = new Arena(shared);
    return new CpuRunner(arena, await Engine.open(arena, shared, threads), debug);
  }

  /** Without an engine: with twins alone. */
  constructor(arena = new Arena(false), engine?: Engine, debug = false) {
    this.#arena = arena;
    this.#engine = engine;
    this.#debug = debug;
    this.name = engine
      ? `CPU: WebAssembly with ${engine.form}, ${engine.threads} thread${engine.threads === 1 ? "" : "s"}`
      : "CPU: plain twins of the kernels";
  }

  get memory() {
    const { bytes, peakBytes } = this.#arena.usage;
    return { bytes: this.#disposed ? 0 : bytes, peakBytes };
  }

  /** The engine's SIMD form and threads; `undefined` if twins compute. */
  get engine(): Pick<Engine, "form" | "threads"> | undefined {
    return this.#engine;
  }

  zeros(label: string, shape: readonly number[], dtype: Dtype = "f32"): Tensor {
    this.#checkUsable();
    const tensor = newTensor(label, shape, dtype, "owned");
    // Room for whole panels, should this be a matrix of weights.
    const [rows = 1] = shape;
    const words = Math.ceil((tensor.storage.words / Math.max(rows, 1)) * wholePanels(rows));
    this.#hold(tensor.storage, this.#allocate(words, label), shape, dtype);
    return tensor;
  }

  upload(label: string, shape: readonly number[], data: TensorData): Tensor {
    const tensor = this.zeros(label, shape, data instanceof Uint32Array ? "u32" : "f32");
    this.write(tensor, data);
    return tensor;
  }

  write(tensor: Tensor, data: TensorData): void {
    this.#checkUsable();
    this.#unpack(tensor.storage);
    this.#array(tensor).set(data);
  }

  copy(from: Tensor, to: Tensor): void {
    this.#unpack(to.storage);
    this.#array(to).set(this.#array(from));
  }

  async read(tensor: Tensor): Promise<TensorData> {
    this.#checkUsable();
    return this.#content(tensor).slice();
  }

  free(tensor: Tensor): void {
    const held = this.#held.get(tensor.storage);
    // A temporary's memory is its program's.
    if (held && tensor.storage.lifetime === "owned") this.#arena.release(held.span);
    this.#held.delete(tensor.storage);
  }

  async settle(): Promise<void> {
    this.#checkUsable();
  }

  async compile(): Promise<void> {}

  async prepare(recording: Recording): Promise<Program> {
    this.#checkUsable();
    const plan = planMemory(recording);
    const blocks = plan.blocks.map((words) => this.#allocate(words, "temporary tensors", false));
    for (const [storage, block] of plan.blockOf) this.#hold(storage, blocks[block]!, [storage.words], "f32");
    const { steps, scratch } = await this.#stepsOf(recording);
    const run = async (times: number, signal?: AbortSignal) => {
      const scratchAt = this.#engine?.scratch(scratch) ?? 0;
      let resumed = performance.now();
      for (const step of steps) {
        signal?.throwIfAborted();
        if ("list" in step) {
          await step.list.run(times, scratchAt, signal);
          continue;
        }
        if (step.counter && this.#array(step.counter)[0] === 0) continue;
        this.#runTwin(step.twin);
        if (performance.now() - resumed < YIELD_MS) continue;
        await new Promise((resolve) => setTimeout(resolve));
        resumed = performance.now();
      }
    };
    return {
      run: async (signal, times = 1) => {
        this.#checkUsable();
        await this.#inTurn(async () => {
          if (this.#debug) this.#poison(recording, blocks);
          if (steps.length === 1) await run(times, signal);
          else for (let time = 0; time < times; time++) await run(1, signal);
          if (this.#debug) this.#checkGuards(recording);
        });
      },
      dispose: () => {
        for (const step of steps) if ("list" in step && !this.#disposed) step.list.forget();
        for (const storage of plan.blockOf.keys()) this.#held.delete(storage);
        for (const block of blocks.splice(0)) this.#arena.release(block);
      },
    };
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#engine?.dispose();
    this.#arena.dispose();
    this.#held.clear();
  }

  #inTurn(body: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(body);
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Dispatches in their order: neighbours with compiled kernels are run in one go. */
  async #stepsOf(recording: Recording): Promise<{ steps: Step[]; scratch: number }> {
    const steps: Step[] = [];
    let calls: CompiledCall[] = [];
    let scratch = 0;
    const endList = () => {
      if (calls.length > 0) steps.push({ list: this.#engine!.executor.keep(calls) });
      calls = [];
    };
    if (this.#engine) await this.#pack(recording);
    for (const dispatch of recording.dispatches) {
      const counter = recording.counterOf(dispatch);
      const compiled = this.#compiled(dispatch, counter);
      if (compiled) {
        calls.push(...compiled.calls);
        scratch = Math.max(scratch, compiled.scratch);
      } else {
        endList();
        steps.push({ twin: dispatch, counter });
      }
    }
    endList();
    return { steps, scratch };
  }

  #compiled({ kernel, tensors, params, constants }: Dispatch, counter: Tensor | undefined) {
    if (!this.#engine) return undefined;
    const formats: number[] = [];
    for (const [i, { formats: isWeights }] of Object.values(kernel.bindings).entries()) {
      if (!isWeights) continue;
      const format = this.#formatOf(tensors[i]!);
      if (format === undefined) return undefined;
      formats.push(format);
    }
    return compiledCalls(this.#engine.exports, kernel, {
      pointers: tensors.map((tensor) => this.#address(tensor)),
      formats,
      params,
      constants,
      counter: counter ? this.#address(counter) : 0,
    });
  }

  /** How compiled kernels find weights; `undefined` if they can't: rows that begin inside of a panel. */
  #formatOf(tensor: Tensor): number | undefined {
    const { isPacked, shape, dtype } = this.#heldOf(tensor);
    if (!isPacked) return FORMAT_ROWS;
    const K = elementsOf(shape.slice(1));
    const isWhole = elementsOf(tensor.shape.slice(1)) === K && tensor.offset % (PANEL * K) === 0;
    return isWhole ? FORMATS[dtype as PackedDtype] : undefined;
  }

  /** Turns the rows of all weights that a recording reads into panels, unless they are already. */
  async #pack({ dispatches }: Recording): Promise<void> {
    const calls: CompiledCall[] = [];
    for (const { kernel, tensors } of dispatches) {
      for (const [i, { formats }] of Object.values(kernel.bindings).entries()) {
        const { storage } = tensors[i]!;
        const held = this.#heldOf(tensors[i]!);
        if (!formats || storage.lifetime !== "owned" || held.isPacked) continue;
        const [rows = 1, ...rest] = held.shape;
        const args = [held.span.at, elementsOf(rest), FORMATS[held.dtype as PackedDtype]];
        calls.push({ name: "pack_panels", args, units: wholePanels(rows) / PANEL, counter: 0 });
        held.isPacked = true;
      }
    }
    if (calls.length === 0) return;
    const list = this.#engine!.executor.keep(calls);
    await this.#inTurn(() => list.run(1, 0));
    list.forget();
  }

  /** Turns panels back into rows, for who writes to them. */
  #unpack(storage: Storage): void {
    const held = this.#held.get(storage);
    if (!held?.isPacked) return;
    const words = new Uint32Array(this.#arena.memory.buffer, held.span.at, storage.words);
    words.set(this.#rows(held).subarray(0, storage.words));
    held.isPacked = false;
  }

  #rows({ span, shape, dtype }: Held): Uint32Array {
    const [rows = 1, ...rest] = shape;
    const panels = new Uint32Array(this.#arena.memory.buffer, span.at, span.bytes / BYTES_PER_ELEMENT);
    return rowsOfPanels(panels, rows, elementsOf(rest), dtype as PackedDtype);
  }

  #runTwin(dispatch: Dispatch): void {
    runTwin(
      dispatch,
      dispatch.tensors.map((tensor) => this.#content(tensor)),
    );
  }

  /** A tensor's elements; of weights in panels a copy, row by row. */
  #content(tensor: Tensor): TensorData {
    const held = this.#heldOf(tensor);
    if (!held.isPacked) return this.#array(tensor);
    const View = tensor.dtype === "f32" ? Float32Array : Uint32Array;
    return new View(this.#rows(held).buffer as ArrayBuffer, byteOffsetOf(tensor), wordsOf(tensor));
  }

  #array(tensor: Tensor): TensorData {
    const View = tensor.dtype === "f32" ? Float32Array : Uint32Array;
    return new View(this.#arena.memory.buffer, this.#address(tensor), wordsOf(tensor));
  }

  #address(tensor: Tensor): number {
    return this.#heldOf(tensor).span.at + byteOffsetOf(tensor);
  }

  #heldOf({ storage }: Tensor): Held {
    const held = this.#held.get(storage);
    if (!held) throw new Florence2Error("disposed", `${storage.label}: this tensor was freed`);
    return held;
  }

  #hold(storage: Storage, span: Span, shape: readonly number[], dtype: Dtype): void {
    this.#held.set(storage, { span, shape, dtype, isPacked: false });
  }

  #allocate(words: number, what: string, cleared = true): Span {
    const watched = words + (this.#debug ? GUARD_WORDS : 0);
    return this.#arena.allocate(watched * BYTES_PER_ELEMENT, what, cleared);
  }

  #poison(recording: Recording, blocks: readonly Span[]): void {
    for (const { at, bytes } of blocks) this.#words(at, bytes / BYTES_PER_ELEMENT).fill(POISON);
    for (const storage of boundStorages(recording)) this.#guardOf(storage).fill(POISON);
  }

  #checkGuards(recording: Recording): void {
    for (const storage of boundStorages(recording)) {
      const broken = this.#guardOf(storage).findLastIndex((word) => word !== POISON);
      if (broken >= 0) {
        throw new Florence2Error(
          "cpu_failed",
          `${storage.label || "a temporary"}: written ${broken + 1} words past its memory`,
        );
      }
    }
  }

  #guardOf(storage: Storage): Uint32Array {
    const { at, bytes } = this.#held.get(storage)!.span;
    return this.#words(at + bytes - GUARD_WORDS * BYTES_PER_ELEMENT, GUARD_WORDS);
  }

  #words(at: number, count: number): Uint32Array {
    return new Uint32Array(this.#arena.memory.buffer, at, count);
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
