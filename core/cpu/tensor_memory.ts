import type { PackedDtype } from "../dtypes/stored_weights.ts";
import { Florence2Error } from "../errors.ts";
import {
  BYTES_PER_ELEMENT,
  byteOffsetOf,
  type Dtype,
  elementsOf,
  type Storage,
  type Tensor,
  type TensorData,
  wordsOf,
} from "../tensor.ts";
import type { Arena, Span } from "./arena.ts";
import { FORMAT_LARGE_F16, FORMAT_ROWS, FORMATS, PANEL, rowsOfPanels, wholePanels } from "./panels.ts";

/** Debug runs watch this many words behind every tensor for writes past its end. */
const GUARD_WORDS = 64;
/** A quiet NaN that no arithmetic makes: what debug runs find where nothing was written. */
const POISON = 0x7fc0_dead;

/** The memory of a storage. */
interface Held {
  readonly span: Span;
  /** Of an owned tensor, when it was made. */
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  /** That of its panels, once its rows have become such. */
  format: number | undefined;
}

/** An owned tensor whose rows are to become panels. */
export interface Packing {
  readonly tensor: Tensor;
  readonly at: number;
  readonly K: number;
  readonly panels: number;
  readonly isHalf: boolean;
}

/** Where tensors lie in the memory of an arena, and which of them are in panels. */
export class TensorMemory {
  readonly #arena: Arena;
  readonly #debug: boolean;
  readonly #held = new Map<Storage, Held>();

  /** @param debug fills fresh temporaries with NaN and watches the memory behind every tensor */
  constructor(arena: Arena, debug: boolean) {
    this.#arena = arena;
    this.#debug = debug;
  }

  /** Memory for an owned tensor, filled with zeros. */
  own({ storage, shape, dtype }: Tensor): void {
    // Room for whole panels, should this be a matrix of weights.
    const [rows = 1] = shape;
    const words = Math.ceil((storage.words / Math.max(rows, 1)) * wholePanels(rows));
    this.#held.set(storage, {
      span: this.#allocate(words, storage.label, true),
      shape,
      dtype,
      format: undefined,
    });
  }

  free({ storage }: Tensor): void {
    const held = this.#held.get(storage);
    // A temporary's memory is its program's.
    if (held && storage.lifetime === "owned") this.#arena.release(held.span);
    this.#held.delete(storage);
  }

  /** Memory for temporaries, each in one of some blocks. */
  share(blocks: readonly number[], blockOf: ReadonlyMap<Storage, number>): Span[] {
    const spans = blocks.map((words) => this.#allocate(words, "temporary tensors", false));
    for (const [storage, block] of blockOf)
      this.#held.set(storage, {
        span: spans[block]!,
        shape: [storage.words],
        dtype: "f32",
        format: undefined,
      });
    return spans;
  }

  unshare(spans: readonly Span[], storages: Iterable<Storage>): void {
    for (const storage of storages) this.#held.delete(storage);
    for (const span of spans) this.#arena.release(span);
  }

  clear(): void {
    this.#held.clear();
  }

  address(tensor: Tensor): number {
    return this.#heldOf(tensor).span.at + byteOffsetOf(tensor);
  }

  /** A tensor's elements, as they lie in memory. */
  array(tensor: Tensor): TensorData {
    const View = tensor.dtype === "f32" ? Float32Array : Uint32Array;
    return new View(this.#arena.memory.buffer, this.address(tensor), wordsOf(tensor));
  }

  /** A tensor's elements; of weights in panels a copy, row by row. */
  content(tensor: Tensor): TensorData {
    const held = this.#heldOf(tensor);
    if (held.format === undefined) return this.array(tensor);
    const View = tensor.dtype === "f32" ? Float32Array : Uint32Array;
    return new View(
      this.#rows(held, held.format).buffer as ArrayBuffer,
      byteOffsetOf(tensor),
      wordsOf(tensor),
    );
  }

  /** How compiled kernels find weights; `undefined` if they can't: rows that begin inside of a panel. */
  formatOf(tensor: Tensor): number | undefined {
    const { format, shape } = this.#heldOf(tensor);
    if (format === undefined) return FORMAT_ROWS;
    const K = elementsOf(shape.slice(1));
    const isWhole = elementsOf(tensor.shape.slice(1)) === K && tensor.offset % (PANEL * K) === 0;
    return isWhole ? format : undefined;
  }

  /** What becomes panels of a tensor; `undefined` if it is already, or stays rows. */
  packing(tensor: Tensor): Packing | undefined {
    const { span, shape, dtype, format } = this.#heldOf(tensor);
    if (tensor.storage.lifetime !== "owned" || format !== undefined) return undefined;
    const [rows = 1, ...rest] = shape;
    const panels = wholePanels(rows) / PANEL;
    return { tensor, at: span.at, K: elementsOf(rest), panels, isHalf: dtype === "f16" };
  }

  /**
   * Counts a tensor's rows as panels from now on.
   *
   * @param isLarge whether it has halves of 128 or more
   * @returns the format that its panels are to have
   */
  pack(tensor: Tensor, isLarge: boolean): number {
    const held = this.#heldOf(tensor);
    held.format = isLarge ? FORMAT_LARGE_F16 : FORMATS[held.dtype as PackedDtype];
    return held.format;
  }

  /** Turns panels back into rows, for who writes to them. */
  unpack({ storage }: Tensor): void {
    const held = this.#held.get(storage);
    if (held?.format === undefined) return;
    this.#words(held.span.at, storage.words).set(this.#rows(held, held.format).subarray(0, storage.words));
    held.format = undefined;
  }

  /** In debug: fills temporaries with NaN, and the memory behind all of these tensors. */
  poison(spans: readonly Span[], storages: Iterable<Storage>): void {
    if (!this.#debug) return;
    for (const { at, bytes } of spans) this.#words(at, bytes / BYTES_PER_ELEMENT).fill(POISON);
    for (const storage of storages) this.#guardOf(storage).fill(POISON);
  }

  /**
   * In debug: finds what was written behind tensors since `poison`.
   *
   * @throws {Florence2Error} `cpu_failed`
   */
  checkGuards(storages: Iterable<Storage>): void {
    if (!this.#debug) return;
    for (const storage of storages) {
      const broken = this.#guardOf(storage).findLastIndex((word) => word !== POISON);
      if (broken < 0) continue;
      const message = `${storage.label || "a temporary"}: written ${broken + 1} words past its memory`;
      throw new Florence2Error("cpu_failed", message);
    }
  }

  #heldOf({ storage }: Tensor): Held {
    const held = this.#held.get(storage);
    if (!held) throw new Florence2Error("disposed", `${storage.label}: this tensor was freed`);
    return held;
  }

  #rows({ span, shape }: Held, format: number): Uint32Array {
    const [rows = 1, ...rest] = shape;
    const panels = this.#words(span.at, span.bytes / BYTES_PER_ELEMENT);
    return rowsOfPanels(panels, rows, elementsOf(rest), format);
  }

  #allocate(words: number, what: string, cleared: boolean): Span {
    const watched = words + (this.#debug ? GUARD_WORDS : 0);
    return this.#arena.allocate(watched * BYTES_PER_ELEMENT, what, cleared);
  }

  #guardOf(storage: Storage): Uint32Array {
    const { at, bytes } = this.#held.get(storage)!.span;
    return this.#words(at + bytes - GUARD_WORDS * BYTES_PER_ELEMENT, GUARD_WORDS);
  }

  #words(at: number, count: number): Uint32Array {
    return new Uint32Array(this.#arena.memory.buffer, at, count);
  }
}
