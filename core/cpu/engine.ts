import { Florence2Error, messageOf } from "../errors.ts";
import { availableThreads } from "../platform.ts";
import type { Arena, Span } from "./arena.ts";
import { type CompiledKernels, compileKernels, instantiate, type SimdForm } from "./compiled_kernels.ts";
import { MainThread } from "./main_thread.ts";
import { type ProductSpeeds, productSpeeds } from "./product_speeds.ts";
import { type Executor, Threads } from "./threads.ts";

/** More threads than this only wait for each other. */
export const MOST_THREADS = 16;
/** Each thread's own memory: a panel of the longest rows in f32, and room for a kernel's own. */
const LOCAL_BYTES = 2 ** 20;

/** Scratch memory grows by so many bytes, so that it is seldom replaced. */
const SCRATCH_STEP = 2 ** 20;

/** Ends the threads of engines that nobody uses any more and nobody disposed of. */
const forgotten = new FinalizationRegistry<Executor>((executor) => executor.dispose());

/** The compiled kernels, and the threads that run them on the memory of an arena. */
export class Engine {
  readonly form: CompiledKernels["form"];
  readonly threads: number;
  /** To count units and scratch memory with, and to check what the runtime made of the kernels. */
  readonly exports: WebAssembly.Exports;
  readonly executor: Executor;
  readonly #arena: Arena;
  #scratch: Span | undefined;

  /**
   * @param threads default: as many as this process may use processors, at most 16
   * @param forms those that may be taken, the best first; for tests
   * @param onWarning called with a sentence if threads cannot be started, and one computes
   * @returns `undefined` where WebAssembly has no SIMD
   * @throws {Florence2Error} `cpu_failed`
   */
  static async open(
    arena: Arena,
    shared: boolean,
    threads?: number,
    forms?: readonly SimdForm[],
    onWarning: (message: string) => void = console.warn,
  ): Promise<Engine | undefined> {
    const kernels = await compileKernels(shared, forms);
    if (!kernels) return undefined;
    const { memory } = arena;
    const { exports } = await instantiate(kernels, memory);
    const count = shared ? Math.min(threads ?? (await availableThreads()), MOST_THREADS) : 1;
    const areas = Array.from({ length: count }, (_, i) => arena.allocate(LOCAL_BYTES, `thread ${i}`));
    const locals = areas.map(({ at }) => at);
    (exports.local as WebAssembly.Global).value = locals[0]!;
    if (shared) {
      try {
        const executor = await Threads.open(kernels, memory, locals);
        return new Engine(arena, kernels.form, count, exports, executor);
      } catch (error) {
        for (const area of areas.slice(1)) arena.release(area);
        // A page's Content-Security-Policy, Node's --permission, or a limit of threads forbid it.
        const { reason = messageOf(error) } = error instanceof Florence2Error ? error.details : {};
        onWarning(
          `The CPU engine computes with one thread, since it cannot start others: ${String(reason).split("\n")[0]}`,
        );
      }
    }
    const executor = new MainThread(exports, memory, locals[0]!);
    return new Engine(arena, kernels.form, 1, exports, executor);
  }

  private constructor(
    arena: Arena,
    form: CompiledKernels["form"],
    threads: number,
    exports: WebAssembly.Exports,
    executor: Executor,
  ) {
    this.#arena = arena;
    this.form = form;
    this.threads = threads;
    this.exports = exports;
    this.executor = executor;
    forgotten.register(this, executor, executor);
  }

  /** Where scratch memory of at least so many bytes begins. One run uses it at a time. */
  scratch(bytes: number): number {
    if (bytes === 0) return 0;
    if (!this.#scratch || this.#scratch.bytes < bytes) {
      if (this.#scratch) this.#arena.release(this.#scratch);
      const whole = Math.ceil(bytes / SCRATCH_STEP) * SCRATCH_STEP;
      this.#scratch = this.#arena.allocate(whole, "scratch memory of kernels", false);
    }
    return this.#scratch.at;
  }

  /** What products of matrices reach here, measured once in a process. */
  productSpeeds(): Promise<ProductSpeeds> {
    return productSpeeds(this);
  }

  dispose(): void {
    forgotten.unregister(this.executor);
    this.executor.dispose();
  }
}
