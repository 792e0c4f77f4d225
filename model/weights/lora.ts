/**
 * LoRA adapters as peft saves them, merged into the weights as these are read:
 * W + scale · B · A (Hu et al., 2021, https://arxiv.org/abs/2106.09685, section 4.1), scale = alpha / r, or
 * alpha / √r with use_rslora (peft's tuners/lora). Tensors that were trained whole, such as biases and
 * modules_to_save, take the place of the model's own.
 */

import { type PackedDtype, packWeights } from "../../core/dtypes/stored_weights.ts";
import { Florence2Error, quote } from "../../core/errors.ts";
import {
  field,
  integer,
  invalid,
  number,
  only,
  type Section,
  section,
  subsection,
} from "../../files/fields.ts";
import type { Files } from "../../files/files.ts";
import { openWeightFile } from "../../files/tensors/shards.ts";
import { readFloats, type TensorFile } from "../../files/tensors/tensor_file.ts";
import type { Florence2Config } from "../config/config.ts";
import {
  checkpointOf,
  expectedTensors,
  type FlorenceCheckpoint,
  isTransposed,
  isWeightDtype,
  type Layout,
  OUTPUT_HEAD,
  SHARED_EMBEDDING,
  type Shape,
  storedName,
  storedShape,
  TIED_COPIES,
  transpose,
} from "./checkpoint.ts";

const CONFIG = "adapter_config.json";
const ADAPTER_FILES = ["adapter_model.safetensors", "adapter_model.bin"];
/** peft's own wrappers around a model, and around a layer that it changed. */
const MODEL_PREFIX = "base_model.model.";
const LAYER_WRAPPER = ".base_layer.";
const MAX_ALPHA = 2 ** 20;

/** A change of a weight (out, in): scale · b · a with b (out, rank) and a (rank, in), by their names in the file. */
interface LowRank {
  a?: string;
  b?: string;
  readonly rank: number;
  readonly scale: number;
}

/** What an adapter changes, by Microsoft's names. */
interface Adapter {
  readonly layout: Layout;
  readonly lowRank: ReadonlyMap<string, LowRank>;
  /** Names in the file of tensors that were trained whole. */
  readonly replaced: ReadonlyMap<string, string>;
}

/**
 * The checkpoint with the adapter in its folder merged into it, or as it is where there is none. The
 * adapter's layout may be another than the checkpoint's. An adapter of the output head leaves the token
 * table as it is. Throws config_invalid or checkpoint_mismatch for adapters that are not LoRA or change what
 * cannot be merged, and what opening its files throws; closes the checkpoint then.
 */
export async function withAdapter(
  checkpoint: FlorenceCheckpoint,
  files: Files,
  config: Florence2Config,
): Promise<FlorenceCheckpoint> {
  let file: TensorFile | undefined;
  try {
    if (!(await files.has(CONFIG))) return checkpoint;
    const adapterConfig = section(CONFIG, "", await files.json(CONFIG));
    file = await openWeightFile(files, ADAPTER_FILES);
    const expected = expectedTensors(config);
    return merged(checkpoint, file, parseAdapter(file, adapterConfig, expected), expected);
  } catch (error) {
    await file?.close();
    await checkpoint.close();
    throw error;
  }
}

/* The adapter's files. */

function parseAdapter(file: TensorFile, config: Section, expected: ReadonlyMap<string, Shape>): Adapter {
  only(field(config, "peft_type"), ["LORA"]);
  only(field(config, "use_dora"), [false]);
  only(field(config, "alora_invocation_tokens"), [null]);
  // Others, such as PiSSA, also change the weights that they begin with.
  only(field(config, "init_lora_weights"), [true, false, "gaussian", "eva", "orthogonal"]);
  const namesIn = (layout: Layout) =>
    new Map([...expected.keys()].map((name) => [storedName(name, layout), name]));
  const keys = [...file.tensors.keys()];
  const microsoft = namesIn("microsoft");
  const layout = keys.some((key) => microsoft.has(targetOf(key).name)) ? "microsoft" : "transformers";
  const names = layout === "microsoft" ? microsoft : namesIn("transformers");

  const lowRank = new Map<string, LowRank>();
  const replaced = new Map<string, string>();
  for (const key of keys) {
    const target = targetOf(key);
    const name = names.get(target.name);
    const isTable = name === SHARED_EMBEDDING && target.part !== undefined;
    if (name === undefined || isTable || TIED_COPIES.includes(name)) throw unmergeable(file, key);
    if (target.part) {
      const change = lowRank.get(name) ?? scaleOf(config, target.name.replace(/\.weight$/, ""));
      change[target.part] = key;
      lowRank.set(name, change);
    } else replaced.set(name, key);
  }
  const shapeOf = (name: string) => storedShape(name, expected.get(name)!, layout);
  for (const [name, key] of replaced) checkReplacement(file, key, shapeOf(name));
  for (const [name, change] of lowRank) checkLowRank(file, change, shapeOf(name));
  return { layout, lowRank, replaced };
}

/** The tensor of the model that a tensor of the adapter changes, in the adapter's layout, and as which part. */
function targetOf(key: string): { readonly name: string; readonly part?: "a" | "b" } {
  const name = key.startsWith(MODEL_PREFIX) ? key.slice(MODEL_PREFIX.length) : "";
  const [, module, part] = /^(.*)\.lora_([AB])\.weight$/.exec(name) ?? [];
  if (module === undefined) return { name: name.replace(LAYER_WRAPPER, ".") };
  return { name: `${module}.weight`, part: part === "A" ? "a" : "b" };
}

/**
 * Rank and scale for a module. fan_in_fan_out is not read: peft unsets it for linear layers, and Florence-2
 * has no others with two axes.
 */
function scaleOf(config: Section, module: string): LowRank {
  const of = (key: string, pattern: string) => {
    const patterns = subsection(config, pattern);
    const found = Object.keys(patterns.values).find((name) => matches(patterns, name, module));
    return found === undefined ? field(config, key) : field(patterns, found);
  };
  const rank = integer(of("r", "rank_pattern"));
  const alpha = number(of("lora_alpha", "alpha_pattern"), {
    fallback: Number.NaN,
    least: -MAX_ALPHA,
    most: MAX_ALPHA,
  });
  const isStabilised = only(field(config, "use_rslora"), [true, false]) ?? false;
  return { rank, scale: alpha / (isStabilised ? Math.sqrt(rank) : rank) };
}

/**
 * Whether a key of rank_pattern or alpha_pattern means a module: its last parts or, after "^", all of them.
 * peft takes keys as regular expressions; only names are accepted here.
 */
function matches(patterns: Section, key: string, module: string): boolean {
  const [, anchor, name] = /^(\^?)([\w.-]+)$/.exec(key) ?? [];
  if (name === undefined) {
    throw invalid({ where: `${patterns.file}: ${patterns.path}${key}`, value: key }, "the name of a module");
  }
  return module === name || (anchor === "" && module.endsWith(`.${name}`));
}

function checkReplacement(file: TensorFile, key: string, expected: Shape): void {
  const { shape, dtype } = file.tensors.get(key)!;
  if (isWeightDtype(dtype) && String(shape) === String(expected)) return;
  throw mismatch(file, `${quote(key)} has shape [${shape}] in ${dtype}. Expected [${expected}]`);
}

/** Convolutions in groups, whose changes are no such product, and other ranks do not fit. */
function checkLowRank(file: TensorFile, { a, b, rank }: LowRank, expected: Shape): void {
  if (!a || !b)
    throw mismatch(file, `${quote(a ?? b)} stands alone. Expected lora_A and lora_B for each layer`);
  const [down, up] = [file.tensors.get(a)!, file.tensors.get(b)!];
  const [outputs, ...inputs] = expected;
  const fits =
    [down, up].every(({ dtype }) => isWeightDtype(dtype)) &&
    String(down.shape) === String([rank, ...inputs]) &&
    String(up.shape) === String([outputs, rank, ...inputs.slice(1).map(() => 1)]);
  if (fits) return;
  throw mismatch(
    file,
    `${quote(a)} has shape [${down.shape}] in ${down.dtype}, lora_B [${up.shape}] in ${up.dtype}; ` +
      `together they do not change a weight of shape [${expected}] by rank ${rank}`,
  );
}

/* Merging. */

function merged(
  checkpoint: FlorenceCheckpoint,
  file: TensorFile,
  { layout, lowRank, replaced }: Adapter,
  expected: ReadonlyMap<string, Shape>,
): FlorenceCheckpoint {
  const whole = checkpointOf(file, layout, expected, replaced);
  /** Where a tensor's values are before the change of low rank; a head that is not stored is the table. */
  const sourceOf = (name: string): [FlorenceCheckpoint, string] => {
    if (replaced.has(name)) return [whole, name];
    return name === OUTPUT_HEAD && !checkpoint.has(name) ? sourceOf(SHARED_EMBEDDING) : [checkpoint, name];
  };
  const readRows = async (name: string, from: number, to: number) => {
    const [source, sourceName] = sourceOf(name);
    const values = await source.readRows(sourceName, from, to);
    const change = lowRank.get(name);
    if (change) {
      const [left, right] = await factors(file, change, isTransposed(name, layout));
      addProduct(values, left.subarray(from * change.rank, to * change.rank), right, change);
    }
    return values;
  };
  const readPacked = async (name: string, from: number, to: number, dtype: PackedDtype) => {
    if (lowRank.has(name)) return packWeights(await readRows(name, from, to), dtype, name);
    const [source, sourceName] = sourceOf(name);
    return source.readPacked(sourceName, from, to, dtype);
  };
  const has = (name: string) => checkpoint.has(name) || replaced.has(name) || lowRank.has(name);
  return {
    layout: checkpoint.layout,
    has,
    tensor: (name) =>
      lowRank.has(name)
        ? { shape: expected.get(name)!, dtype: "F32" }
        : replaced.has(name)
          ? whole.tensor(name)
          : checkpoint.tensor(name),
    read: (name) => readRows(name, 0, (expected.get(name) ?? [])[0] ?? 0),
    readRows,
    readPacked,
    async close() {
      await file.close();
      await checkpoint.close();
    },
  };
}

/** The two factors of a change in the order of Microsoft's axes: (rows, rank) and (rank, columns). */
async function factors(
  file: TensorFile,
  { a, b }: LowRank,
  isTurned: boolean,
): Promise<[Float32Array, Float32Array]> {
  const read = async (key: string, turned: boolean) => {
    const [rows, ...rest] = file.tensors.get(key)!.shape as [number, ...number[]];
    const columns = rest.reduce((product, size) => product * size, 1);
    const values = await readFloats(file, key, 0, rows * columns);
    return turned ? transpose(values, rows, columns) : values;
  };
  const [down, up] = [await read(a!, isTurned), await read(b!, isTurned)];
  return isTurned ? [down, up] : [up, down];
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

/* Errors. */

function unmergeable(file: TensorFile, key: string): Florence2Error {
  return mismatch(
    file,
    `${quote(key)} cannot be merged: it changes the token table, or is no LoRA of a layer of Florence-2. ` +
      "Merge the adapter in Python (merge_and_unload) and save the model",
  );
}

function mismatch(file: TensorFile, problem: string): Florence2Error {
  return new Florence2Error("checkpoint_mismatch", `${file.name}: ${problem}.`, { file: file.name });
}
