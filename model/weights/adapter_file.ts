/** The contents of an adapter by peft: which weights it changes, and how. */
import { Florence2Error, quote } from "../../core/errors.ts";
import { field, integer, invalid, number, only, type Section, subsection } from "../../files/fields.ts";
import type { TensorFile } from "../../files/tensors/tensor_file.ts";
import { isWeightDtype } from "./dtypes.ts";
import { DECODER_EMBEDDING, ENCODER_EMBEDDING, SHARED_EMBEDDING, type Shape } from "./expected_tensors.ts";
import { type Layout, storedName, storedShape } from "./layouts.ts";

export const ADAPTER_CONFIG = "adapter_config.json";
export const ADAPTER_FILES = ["adapter_model.safetensors", "adapter_model.bin"];
/** peft's own wrappers around a model, and around a layer that it changed. */
const MODEL_PREFIX = "base_model.model.";
const LAYER_WRAPPER = ".base_layer.";
const MAX_ALPHA = 2 ** 20;

/**
 * A change of a weight (out, in): scale · b · a, with a (rank, in) and b (out, rank), by their names in the file. Of the
 * token table, a is (rank, vocabulary) and b (d, rank), as of a linear layer from words to vectors.
 */
export interface LowRank {
  a?: string;
  b?: string;
  /** (out): the length of each row of the changed weight (DoRA, https://arxiv.org/abs/2402.09353). */
  magnitude?: string;
  readonly rank: number;
  readonly scale: number;
  readonly isEmbedding: boolean;
}

/** The changes of an adapter, by Microsoft's names of the weights. */
export interface Adapter {
  readonly layout: Layout;
  readonly lowRank: ReadonlyMap<string, LowRank>;
  /** Additions to biases (`lora_bias`): their names in the file, and what they are multiplied by. */
  readonly biases: ReadonlyMap<string, { readonly key: string; readonly scale: number }>;
  /** Names in the file of tensors that were trained whole. */
  readonly replaced: ReadonlyMap<string, string>;
  /** Whether the token table is changed for input only, while what was tied to it keeps the values of the base. */
  readonly untiesTable: boolean;
}

/** The role of an adapter's tensor for the tensor that it changes. */
type Part = "a" | "b" | "magnitude" | "bias";

/**
 * Reads the names of an adapter's tensors and its configuration.
 *
 * @throws {Florence2Error} config_invalid for methods other than LoRA and for initialisations that change the base's
 *   weights; checkpoint_mismatch for tensors that cannot be merged, by name
 */
export function parseAdapter(
  file: TensorFile,
  config: Section,
  expected: ReadonlyMap<string, Shape>,
): Adapter {
  only(field(config, "peft_type"), ["LORA"]);
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
  const biases = new Map<string, { key: string; scale: number }>();
  const replaced = new Map<string, string>();
  for (const key of keys) {
    const { name: stored, module, part, isEmbedding } = targetOf(key);
    const name = names.get(stored);
    const isTable = name === SHARED_EMBEDDING || name === DECODER_EMBEDDING || name === ENCODER_EMBEDDING;
    if (name === undefined || (part !== undefined && isTable !== isEmbedding)) throw unmergeable(file, key);
    // Nothing reads the encoder's own table.
    if (name === ENCODER_EMBEDDING) continue;
    if (part === undefined) replaced.set(name, key);
    else if (part === "bias") biases.set(name, { key, scale: scaleOf(config, module).scale });
    else {
      const change = lowRank.get(name) ?? { ...scaleOf(config, module), isEmbedding: isTable };
      change[part] = key;
      lowRank.set(name, change);
    }
  }
  const shapeOf = (name: string) => storedShape(name, expected.get(name)!, layout);
  for (const [name, key] of replaced) checkReplacement(file, key, shapeOf(name));
  for (const [name, { key }] of biases) checkReplacement(file, key, shapeOf(name));
  const isDora = only(field(config, "use_dora"), [true, false]) ?? false;
  for (const [name, change] of lowRank) {
    const shape = shapeOf(name);
    checkLowRank(file, change, change.isEmbedding ? [...shape].reverse() : shape);
    checkMagnitude(file, change, isDora);
  }
  const table = storedName(SHARED_EMBEDDING, layout).replace(/\.weight$/, "");
  const untiesTable = lowRank.has(SHARED_EMBEDDING) || isTrainedApart(config, table);
  return { layout, lowRank, biases, replaced, untiesTable };
}

/** Whether modules_to_save, which peft keeps beside the originals, lists a module. */
function isTrainedApart(config: Section, module: string): boolean {
  const { value } = field(config, "modules_to_save");
  const listed = Array.isArray(value) ? value : [];
  return listed.some((name) => typeof name === "string" && `.${module}`.endsWith(`.${name}`));
}

/** The tensor of the model that a tensor of the adapter changes, in the adapter's layout, and as which part. */
function targetOf(key: string): {
  readonly name: string;
  readonly module: string;
  readonly part?: Part;
  readonly isEmbedding: boolean;
} {
  const name = key.startsWith(MODEL_PREFIX) ? key.slice(MODEL_PREFIX.length) : key;
  // Saved by torch alone, names have the adapter's own name in them.
  const found = /^(.*)\.lora_(embedding_)?(A|B|magnitude_vector)(?:\.default)?(\.weight|\.bias)?$/.exec(name);
  if (!found) {
    const whole = name.replace(LAYER_WRAPPER, ".").replace(".modules_to_save.default.", ".");
    return { name: whole, module: whole.replace(/\.[^.]*$/, ""), isEmbedding: false };
  }
  const [, module = "", embedding, kind, suffix] = found;
  const isBias = suffix === ".bias" && kind === "B";
  const part = isBias ? "bias" : kind === "magnitude_vector" ? "magnitude" : kind === "A" ? "a" : "b";
  return {
    name: `${module}.${isBias ? "bias" : "weight"}`,
    module,
    part,
    isEmbedding: embedding !== undefined,
  };
}

/**
 * Rank and scale for a module: alpha / rank, or alpha / √rank with use_rslora. fan_in_fan_out is not read: peft unsets
 * it for linear layers, and Florence-2 has no others with two axes.
 */
function scaleOf(config: Section, module: string): { readonly rank: number; readonly scale: number } {
  const of = (key: string, pattern: string) => {
    const patterns = subsection(config, pattern);
    const found = Object.keys(patterns.values).find((name) => matches(patterns, name, module));
    return found === undefined ? field(config, key) : field(patterns, found);
  };
  const rank = integer(of("r", "rank_pattern"));
  const alpha = number(of("lora_alpha", "alpha_pattern"), {
    fallback: Number.NaN,
    min: -MAX_ALPHA,
    max: MAX_ALPHA,
  });
  const isStabilised = only(field(config, "use_rslora"), [true, false]) ?? false;
  return { rank, scale: alpha / (isStabilised ? Math.sqrt(rank) : rank) };
}

/** Matching takes time in the power of the repetitions in a pattern, and more than that where they are nested. */
const MAX_REPETITIONS = 5;

/** Whether a key of rank_pattern or alpha_pattern, a regular expression, fits a module's last parts or all of them. */
function matches(patterns: Section, key: string, module: string): boolean {
  const plain = key.replace(/\\./g, "");
  const where = `${patterns.file}: ${patterns.path}${key}`;
  if ((plain.match(/[*+{]/g)?.length ?? 0) > MAX_REPETITIONS || /\)[*+{]/.test(plain)) {
    throw invalid(
      { where, value: key },
      `a regular expression of at most ${MAX_REPETITIONS} repetitions, none of a group`,
    );
  }
  try {
    return new RegExp(`^(?:.*\\.)?(?:${key})$`, "s").test(module);
  } catch {
    throw invalid({ where, value: key }, "a regular expression without syntax of Python's own");
  }
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

function checkMagnitude(file: TensorFile, { a, b, magnitude }: LowRank, isDora: boolean): void {
  if (!isDora && magnitude === undefined) return;
  if (!isDora || magnitude === undefined) {
    const found = magnitude === undefined ? "has no magnitude vector" : "has a magnitude vector";
    throw mismatch(file, `${quote(a)} ${found}, but use_dora of ${ADAPTER_CONFIG} is ${isDora}`);
  }
  const { shape, dtype } = file.tensors.get(magnitude)!;
  const [outputs] = file.tensors.get(b!)!.shape;
  // Of a convolution it is (1, out, 1, 1).
  const isVector = isWeightDtype(dtype) && shape.reduce((product, size) => product * size, 1) === outputs;
  if (!isVector)
    throw mismatch(file, `${quote(magnitude)} has shape [${shape}] in ${dtype}. Expected [${outputs}]`);
}

function unmergeable(file: TensorFile, key: string): Florence2Error {
  return mismatch(
    file,
    `${quote(key)} cannot be merged: it belongs to no layer of Florence-2, or is no part of LoRA. ` +
      "Merge the adapter in Python (merge_and_unload) and save the model",
  );
}

function mismatch(file: TensorFile, problem: string): Florence2Error {
  return new Florence2Error("checkpoint_mismatch", `${file.name}: ${problem}.`, { file: file.name });
}
