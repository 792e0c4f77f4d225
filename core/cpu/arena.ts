import { Florence2Error } from "../errors.ts";

/** Tensors begin at multiples of this many bytes, as they do on GPUs. */
const ALIGNMENT = 256;
const PAGE = 65_536;
/** WebAssembly addresses 4 GiB. Some systems, such as iOS, let a memory grow to less. */
const MOST_PAGES = [65_536, 49_152, 32_768, 16_384, 8192];
/** The first page is for constants of the compiled kernels. */
const FIRST = PAGE;
/** Memory grows by at least this many pages. */
const GROWTH = 256;

/** A part of a memory. */
export interface Span {
  readonly at: number;
  readonly bytes: number;
}

/** Gives out parts of one WebAssembly memory, the smallest that fits first, and takes them back. */
export class Arena {
  readonly isShared: boolean;
  readonly #mostPages: number;
  #memory: WebAssembly.Memory | undefined;
  /** Free parts by address; no two touch. */
  #free: Span[] = [];
  /** Nothing was ever given out from here on: it is zeros. */
  #end = FIRST;
  #bytes = 0;
  #peakBytes = 0;

  /** @param shared whether threads see it */
  constructor(shared: boolean) {
    this.isShared = shared;
    const { memory, pages } = newMemory(shared);
    this.#memory = memory;
    this.#mostPages = pages;
  }

  /** @throws {Florence2Error} `disposed` */
  get memory(): WebAssembly.Memory {
    if (!this.#memory) throw new Florence2Error("disposed", "this runner was disposed");
    return this.#memory;
  }

  /** Gives the whole memory back, once nothing else holds it. */
  dispose(): void {
    this.#memory = undefined;
    this.#free = [];
    this.#bytes = 0;
  }

  /** Bytes given out now, and the most there ever were. */
  get usage() {
    return { bytes: this.#bytes, peakBytes: this.#peakBytes };
  }

  /**
   * A part filled with zeros, unless `cleared` is false.
   *
   * @throws {Florence2Error} `cpu_out_of_memory`
   */
  allocate(bytes: number, what: string, cleared = true): Span {
    const size = Math.max(Math.ceil(bytes / ALIGNMENT), 1) * ALIGNMENT;
    const span = this.#reuse(size, cleared) ?? this.#extend(size, what);
    this.#bytes += size;
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytes);
    return span;
  }

  release({ at, bytes }: Span): void {
    if (!this.#memory) return;
    this.#bytes -= bytes;
    const next = this.#free.findIndex((span) => span.at > at);
    const index = next < 0 ? this.#free.length : next;
    const [before, after] = [this.#free[index - 1], this.#free[index]];
    const joinsBefore = before !== undefined && before.at + before.bytes === at;
    const joinsAfter = after !== undefined && at + bytes === after.at;
    const start = joinsBefore ? before.at : at;
    const end = joinsAfter ? after.at + after.bytes : at + bytes;
    this.#free.splice(index - Number(joinsBefore), Number(joinsBefore) + Number(joinsAfter), {
      at: start,
      bytes: end - start,
    });
  }

  #reuse(size: number, cleared: boolean): Span | undefined {
    let best = -1;
    for (const [i, { bytes }] of this.#free.entries()) {
      if (bytes >= size && (best < 0 || bytes < this.#free[best]!.bytes)) best = i;
    }
    if (best < 0) return undefined;
    const { at, bytes } = this.#free[best]!;
    if (bytes === size) this.#free.splice(best, 1);
    else this.#free[best] = { at: at + size, bytes: bytes - size };
    // Shared memory is filled element by element: the larger, the fewer.
    if (cleared) new Float64Array(this.memory.buffer, at, size / Float64Array.BYTES_PER_ELEMENT).fill(0);
    return { at, bytes: size };
  }

  #extend(size: number, what: string): Span {
    const at = this.#end;
    const missing = Math.ceil((at + size - this.memory.buffer.byteLength) / PAGE);
    if (missing > 0) this.#grow(missing, what);
    this.#end = at + size;
    return { at, bytes: size };
  }

  #grow(pages: number, what: string): void {
    const room = this.#mostPages - this.memory.buffer.byteLength / PAGE;
    for (const more of [Math.min(Math.max(pages, GROWTH), room), pages]) {
      try {
        if (more >= pages) {
          this.memory.grow(more);
          return;
        }
      } catch {
        // Less may do.
      }
    }
    const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20);
    const most = mebibytes(this.#mostPages * PAGE);
    throw new Florence2Error(
      "cpu_out_of_memory",
      `No memory for ${mebibytes(pages * PAGE)} MiB more (${what}): the CPU engine holds ${mebibytes(this.#bytes)} MiB, and ${most} at most. Load the model with dtype "f16" or "q8".`,
      { what, pages },
    );
  }
}

/** A memory that may grow as far as this system lets it. */
function newMemory(shared: boolean): { readonly memory: WebAssembly.Memory; readonly pages: number } {
  if (typeof WebAssembly !== "object") {
    const message =
      'This runtime has no WebAssembly, which the CPU engine is made of (it is off under "node --jitless" and in Lockdown Mode of Safari).';
    throw new Florence2Error("cpu_failed", message);
  }
  let cause: unknown;
  for (const pages of MOST_PAGES) {
    try {
      return { memory: new WebAssembly.Memory({ initial: GROWTH, maximum: pages, shared }), pages };
    } catch (error) {
      cause = error;
    }
  }
  throw new Florence2Error(
    "cpu_out_of_memory",
    "This process gets no WebAssembly memory. V8 reserves 10 GiB of addresses for each, which a limit of virtual memory (ulimit -v) may forbid: raise it, or start Node with --disable-wasm-trap-handler. Else dispose of models that are not needed.",
    {},
    cause,
  );
}
