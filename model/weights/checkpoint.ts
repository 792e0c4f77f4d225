import { BLOCK, dequantize, isBlockDtype, wordsOfBlock } from "../../core/dtypes/quantization.ts";
import { type PackedDtype, packWeights } from "../../core/dtypes/stored_weights.ts";
import { Florence2Error, quote } from "../../core/errors.ts";
import { BYTES_PER_ELEMENT, type TensorData } from "../../core/tensor.ts";
import { readFloats, type TensorFile } from "../../files/tensors/tensor_file.ts";
import { quantizedDtype, type StoredDtype } from "./dtypes.ts";
import { ENCODER_EMBEDDING, type Shape, TEMPORAL_POSITIONS } from "./expected_tensors.ts";
import { isTransposed, type Layout } from "./layouts.ts";

export interface StoredTensor {
  /** In Microsoft's layout. */
  readonly shape: Shape;
  /** In the file. */
  readonly dtype: StoredDtype;
}

/** The weights of one model under Microsoft's names; values as float32, whatever the file stores. */
export interface FlorenceCheckpoint {
  readonly layout: Layout;
  /** The tensors of the files. Only the output head, the decoder's token table and the bias of the logits may be absent. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** All values, row by row. Uses memory for the values and a few MB. */
  read(name: string): Promise<Float32Array<ArrayBuffer>>;
  /** The values of rows from to to - 1, a row being one index of the first axis. */
  readRows(name: string, from: number, to: number): Promise<Float32Array<ArrayBuffer>>;
  /**
   * The same rows as devices hold them: as stored, or else the nearest. Throws option_invalid for values that have none.
   *
   * @param into their place on the device: rows that are stored so are read into it, and are a view of it then
   */
  readPacked(
    name: string,
    from: number,
    to: number,
    dtype: PackedDtype,
    into?: Uint8Array<ArrayBuffer>,
  ): Promise<TensorData>;
  close(): Promise<void>;
}

/** Bytes of an element. */
const WIDTHS = { f32: 4, f16: 2 } as const;

/** A checkpoint of the tensors of a file; `stored` has their names in the file by those of Microsoft. */
export function checkpointOf(
  file: TensorFile,
  layout: Layout,
  expected: ReadonlyMap<string, Shape>,
  stored: ReadonlyMap<string, string>,
): FlorenceCheckpoint {
  const tensors = storedTensors(file, expected, stored);
  const shapeOf = (name: string): Shape => tensorOf(tensors, name, file.name).shape;

  /** The words that elements from to to - 1 are stored in. */
  const readWords = async (
    key: string,
    dtype: Exclude<PackedDtype, "i8">,
    [from, to]: readonly [number, number],
    into?: Uint8Array<ArrayBuffer>,
  ) => {
    const bytes = isBlockDtype(dtype) ? (wordsOfBlock(dtype) * BYTES_PER_ELEMENT) / BLOCK : WIDTHS[dtype];
    const count = bytes * (to - from);
    const place = into ?? new Uint8Array(Math.ceil(count / BYTES_PER_ELEMENT) * BYTES_PER_ELEMENT);
    await file.read(key, { start: bytes * from, end: bytes * to }, place.subarray(0, count));
    const View = dtype === "f32" ? Float32Array : Uint32Array;
    return new View(place.buffer, place.byteOffset, place.byteLength / BYTES_PER_ELEMENT);
  };
  /** Elements from to to - 1 in the order of the canonical layout. */
  const readElements = async (name: string, from: number, to: number) => {
    const shape = shapeOf(name);
    const key = stored.get(name);
    if (key === undefined) return temporalPositions(shape).slice(from, to);
    const blocks = quantizedDtype(file.tensors.get(key)!, name, shape);
    if (blocks) {
      const values = new Float32Array(to - from);
      dequantize((await readWords(key, blocks, [from, to])) as Uint32Array, blocks, values);
      return values;
    }
    if (!isTransposed(name, layout)) return readFloats(file, key, from, to);
    const [rows, columns] = shape as [number, number];
    return transpose(await readFloats(file, key, 0, rows * columns), columns, rows).slice(from, to);
  };
  /** The range of elements that rows from to to - 1 are. */
  const elementsIn = (name: string, from: number, to: number): [number, number] => {
    const [rows, ...row] = shapeOf(name);
    if (Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from <= to && to <= rows!)
      return [from * count(row), to * count(row)];
    throw new Florence2Error(
      "checkpoint_mismatch",
      `${quote(name)} has ${rows} rows; rows ${from} to ${to} were asked for.`,
      { file: file.name, name, expected: rows, found: [from, to] },
    );
  };
  return {
    layout,
    tensors,
    async read(name) {
      return readElements(name, 0, count(shapeOf(name)));
    },
    async readRows(name, from, to) {
      return readElements(name, ...elementsIn(name, from, to));
    },
    async readPacked(name, from, to, dtype, into) {
      const [start, end] = elementsIn(name, from, to);
      const key = stored.get(name);
      const isStoredSo = tensors.get(name)!.dtype.toLowerCase() === dtype && !isTransposed(name, layout);
      if (key !== undefined && isStoredSo && dtype !== "i8") return readWords(key, dtype, [start, end], into);
      return packWeights(await readElements(name, start, end), dtype, name);
    },
    close: () => file.close(),
  };
}

/** Shape and dtype of each tensor that the file holds or that is computed. The encoder's own token table is never used. */
function storedTensors(
  file: TensorFile,
  expected: ReadonlyMap<string, Shape>,
  stored: ReadonlyMap<string, string>,
): ReadonlyMap<string, StoredTensor> {
  const tensors = new Map<string, StoredTensor>();
  for (const [name, shape] of expected) {
    const entry = file.tensors.get(stored.get(name) ?? "");
    if ((!entry && name !== TEMPORAL_POSITIONS) || name === ENCODER_EMBEDDING) continue;
    const blocks = entry && quantizedDtype(entry, name, shape);
    tensors.set(name, { shape, dtype: (blocks?.toUpperCase() ?? entry?.dtype ?? "F32") as StoredDtype });
  }
  return tensors;
}

/** Shape and dtype of a tensor of a checkpoint. Throws checkpoint_mismatch if it has none of that name. */
export function tensorOf(
  tensors: ReadonlyMap<string, StoredTensor>,
  name: string,
  file = "The checkpoint",
): StoredTensor {
  const tensor = tensors.get(name);
  if (tensor) return tensor;
  throw new Florence2Error("checkpoint_mismatch", `${file} holds no ${quote(name)}.`, { file, name });
}

function count(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** [rows, columns] to [columns, rows]; of the columns, those from `from` to `to - 1`. */
export function transpose(
  values: Float32Array,
  rows: number,
  columns: number,
  from = 0,
  to = columns,
): Float32Array<ArrayBuffer> {
  const turned = new Float32Array((to - from) * rows);
  for (let row = 0; row < rows; row++) {
    for (let column = from; column < to; column++) {
      turned[(column - from) * rows + row] = values[row * columns + column]!;
    }
  }
  return turned;
}

/**
 * The cosine table of temporal positions, [frames, width]: with the angle t / 10000^(2j / width), column
 * 2j of row t holds its sine and column 2j + 1 its cosine.
 */
export function temporalPositions(shape: Shape): Float32Array<ArrayBuffer> {
  const [frames, width] = shape as [number, number];
  const table = new Float32Array(frames * width);
  for (let t = 0; t < frames; t++) {
    for (let j = 0; j < width / 2; j++) {
      const angle = t * Math.exp((-j * Math.log(10000)) / (width / 2));
      table[t * width + 2 * j] = Math.sin(angle);
      table[t * width + 2 * j + 1] = Math.cos(angle);
    }
  }
  return table;
}
