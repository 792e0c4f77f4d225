import { Florence2Error } from "../errors.ts";

/** Tensors begin at multiples of this many bytes, as they do on GPUs. */
const ALIGNMENT = 256;
const PAGE = 65_536;
/** WebAssembly addresses 4 GiB. */
const MOST_PAGES = 65_536;
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
    this.#memory = newMemory(shared);
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
    const room = MOST_PAGES - this.memory.buffer.byteLength / PAGE;
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
    const used = Math.round(this.#bytes / 2 ** 20);
    throw new Florence2Error(
      "cpu_out_of_memory",
      `No memory for ${Math.round((pages * PAGE) / 2 ** 20)} MiB more (${what}): the CPU engine holds ${used} MiB, and 4096 at most. Load the model with dtype "f16" or "q8".`,
      { what, pages },
    );
  }
}

function newMemory(shared: boolean): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: GROWTH, maximum: MOST_PAGES, shared });
  } catch (cause) {
    throw new Florence2Error(
      "cpu_out_of_memory",
      "This process gets no WebAssembly memory that may grow to 4 GiB",
      {},
      cause,
    );
  }
}
