/**
 * LoRA adapters as peft saves them, merged into the weights as these are read:
 * W + scale · B · A (Hu et al., 2021, https://arxiv.org/abs/2106.09685, section 4.1); with DoRA each row of that is
 * scaled to the length that was trained (Liu et al., 2024, https://arxiv.org/abs/2402.09353). Tensors that were trained
 * whole, such as biases and modules_to_save, take the place of the model's own. Reference: peft's tuners/lora.
 */
import { type PackedDtype, packWeights } from "../../core/dtypes/stored_weights.ts";
import { section } from "../../files/fields.ts";
import type { Files } from "../../files/files.ts";
import { openWeightFile } from "../../files/tensors/shards.ts";
import { readFloats, type TensorFile } from "../../files/tensors/tensor_file.ts";
import { ADAPTER_CONFIG, ADAPTER_FILES, type Adapter, type LowRank, parseAdapter } from "./adapter_file.ts";
import {
  checkpointOf,
  type FlorenceCheckpoint,
  type StoredTensor,
  tensorOf,
  transpose,
} from "./checkpoint.ts";
import {
  DECODER_EMBEDDING,
  ENCODER_EMBEDDING,
  OUTPUT_HEAD,
  SHARED_EMBEDDING,
  type Shape,
} from "./expected_tensors.ts";
import { isTransposed } from "./layouts.ts";

/**
 * The checkpoint with the adapter of a folder merged into it, or as it is where there is none. The adapter's layout may
 * be another than the checkpoint's. What is tied to the token table keeps the base's values where peft keeps them.
 *
 * @param expected the shapes of all tensors of the model
 * @throws {Florence2Error} config_invalid or checkpoint_mismatch for adapters that are not LoRA or change what cannot be
 *   merged, and what opening its files throws; the checkpoint is closed then
 */
export async function withAdapter(
  checkpoint: FlorenceCheckpoint,
  files: Files,
  expected: ReadonlyMap<string, Shape>,
): Promise<FlorenceCheckpoint> {
  let file: TensorFile | undefined;
  try {
    const json = await files.optionalJson(ADAPTER_CONFIG);
    if (json === undefined) return checkpoint;
    file = await openWeightFile(files, ADAPTER_FILES);
    return merged(
      checkpoint,
      file,
      parseAdapter(file, section(ADAPTER_CONFIG, "", json), expected),
      expected,
    );
  } catch (error) {
    await file?.close();
    await checkpoint.close();
    throw error;
  }
}

function merged(
  checkpoint: FlorenceCheckpoint,
  file: TensorFile,
  adapter: Adapter,
  expected: ReadonlyMap<string, Shape>,
): FlorenceCheckpoint {
  const { layout, lowRank, biases, replaced } = adapter;
  const whole = checkpointOf(file, layout, expected, replaced);
  const tensors = mergedTensors(checkpoint, whole, adapter, expected);
  const isTied = (name: string) =>
    (name === OUTPUT_HEAD || name === DECODER_EMBEDDING) && !checkpoint.tensors.has(name);
  /** Where a tensor's values are before its change. */
  const sourceOf = (name: string): [FlorenceCheckpoint, string] => {
    if (replaced.has(name)) return [whole, name];
    return isTied(name) ? [checkpoint, SHARED_EMBEDDING] : [checkpoint, name];
  };
  const readRows = async (name: string, from: number, to: number) => {
    const [source, sourceName] = sourceOf(name);
    const bias = biases.get(name);
    if (bias) {
      const values = await source.readRows(sourceName, from, to);
      const added = await readFloats(file, bias.key, from, to);
      return values.map((value, i) => value + bias.scale * added[i]!);
    }
    const change = lowRank.get(name);
    if (!change) return source.readRows(sourceName, from, to);
    const isTurned = isTransposed(name, layout) || change.isEmbedding;
    // The rows whose lengths are scaled are columns here.
    const isWhole = isTurned && change.magnitude !== undefined;
    const [first, last] = isWhole ? [0, expected.get(name)![0]!] : [from, to];
    const values = await source.readRows(sourceName, first, last);
    const [left, right] = await factors(file, change, isTurned);
    addProduct(values, left.subarray(first * change.rank, last * change.rank), right, change);
    if (change.magnitude === undefined) return values;
    const lengths = await readAll(file, change.magnitude);
    const columns = right.length / change.rank;
    if (!isTurned) return scaleRows(values, lengths.subarray(from, to), columns);
    const turned = scaleRows(transpose(values, last, columns), lengths, last);
    return transpose(turned, columns, last).slice(from * columns, to * columns);
  };
  const readPacked = async (name: string, from: number, to: number, dtype: PackedDtype) => {
    if (lowRank.has(name) || biases.has(name))
      return packWeights(await readRows(name, from, to), dtype, name);
    const [source, sourceName] = sourceOf(name);
    return source.readPacked(sourceName, from, to, dtype);
  };
  return {
    layout: checkpoint.layout,
    tensors,
    read: (name) => readRows(name, 0, tensorOf(tensors, name).shape[0]!),
    readRows,
    readPacked,
    async close() {
      await file.close();
      await checkpoint.close();
    },
  };
}

/** The tensors after merging. Computed values count as F32. */
function mergedTensors(
  checkpoint: FlorenceCheckpoint,
  whole: FlorenceCheckpoint,
  { lowRank, biases, replaced, untiesTable }: Adapter,
  expected: ReadonlyMap<string, Shape>,
): ReadonlyMap<string, StoredTensor> {
  const tensors = new Map<string, StoredTensor>();
  const table = checkpoint.tensors.get(SHARED_EMBEDDING)!;
  for (const [name, shape] of expected) {
    if (name === ENCODER_EMBEDDING) continue;
    const isCopy = name === OUTPUT_HEAD || name === DECODER_EMBEDDING;
    const tensor =
      lowRank.has(name) || biases.has(name)
        ? { shape, dtype: "F32" as const }
        : replaced.has(name)
          ? whole.tensors.get(name)
          : (checkpoint.tensors.get(name) ?? (isCopy && untiesTable ? table : undefined));
    if (tensor) tensors.set(name, tensor);
  }
  return tensors;
}

/** The two factors of a change in the order of Microsoft's axes: (rows, rank) and (rank, columns). */
async function factors(
  file: TensorFile,
  { a, b }: LowRank,
  isTurned: boolean,
): Promise<[Float32Array, Float32Array]> {
  const read = async (key: string) => {
    const values = await readAll(file, key);
    const [rows] = file.tensors.get(key)!.shape as [number];
    return isTurned ? transpose(values, rows, values.length / rows) : values;
  };
  const [down, up] = [await read(a!), await read(b!)];
  return isTurned ? [down, up] : [up, down];
}

async function readAll(file: TensorFile, key: string): Promise<Float32Array> {
  return readFloats(
    file,
    key,
    0,
    file.tensors.get(key)!.shape.reduce((product, size) => product * size, 1),
  );
}

/** values (rows, columns) += scale · left (rows, rank) · right (rank, columns), summed in double precision. */
function addProduct(
  values: Float32Array,
  left: Float32Array,
  right: Float32Array,
  { rank, scale }: LowRank,
): void {
  const columns = right.length / rank;
  const sums = new Float64Array(columns);
  for (let row = 0; row * rank < left.length; row++) {
    sums.fill(0);
    for (let k = 0; k < rank; k++) {
      const factor = left[row * rank + k]!;
      for (let j = 0; j < columns; j++) sums[j]! += factor * right[k * columns + j]!;
    }
    for (let j = 0; j < columns; j++) values[row * columns + j]! += scale * sums[j]!;
  }
}

/** Scales each row of values (rows, columns) to its length (rows), in double precision. */
function scaleRows(values: Float32Array, lengths: Float32Array, columns: number): Float32Array<ArrayBuffer> {
  const scaled = new Float32Array(values.length);
  for (const [row, length] of lengths.entries()) {
    let sum = 0;
    for (let j = 0; j < columns; j++) sum += values[row * columns + j]! ** 2;
    const factor = length / Math.sqrt(sum);
    for (let j = 0; j < columns; j++) scaled[row * columns + j] = factor * values[row * columns + j]!;
  }
  return scaled;
}
