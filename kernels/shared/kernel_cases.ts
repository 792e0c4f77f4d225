import { type PackedDtype, packWeights } from "../../core/dtypes/stored_weights.ts";
import type { Kernel, KernelDefinition, Variant } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import type { Runner } from "../../core/runner.ts";
import type { Dtype, Tensor, TensorData } from "../../core/tensor.ts";

/** Seeded numbers for inputs: the same on every machine. */
export interface RandomArrays {
  /** Roughly standard normal. */
  normal(...shape: number[]): InputArray;
  /** Whole numbers below `limit`. */
  integers(limit: number, ...shape: number[]): InputArray;
}

export interface InputArray {
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/**
 * The cases of one kernel for tests and benches; the default export of `<kernel>.cases.ts`, which
 * both find by glob. Sizes in `cases` are those of the released models, and ragged ones.
 */
export interface KernelCases<Case extends { readonly name: string }> {
  readonly kernel: Kernel;
  readonly cases: readonly Case[];
  readonly inputs: (testCase: Case, random: RandomArrays) => Record<string, InputArray>;
  /** Which inputs are weights, that may be stored in any of their formats. */
  readonly weights?: readonly string[];
  /** Calls the kernel's wrapper once and returns what it writes, by name. */
  readonly record: (
    rec: Recording,
    tensors: Readonly<Record<string, Tensor>>,
    testCase: Case,
  ) => Record<string, Tensor>;
  /** Bytes that a call reads and writes at least, and its arithmetic operations (a multiply-add is two). */
  readonly work: (testCase: Case) => { readonly bytes: number; readonly operations: number };
  /** |gpu - twin| <= tolerance * (1 + |twin|), element by element, in f32. */
  readonly tolerance: number | ((testCase: Case, variant: Variant, weights?: PackedDtype) => number);
}

/** The inputs of a case as devices hold them, by name. */
export type PackedInputs = Readonly<Record<string, InputArray & { readonly dtype: Dtype }>>;

/** Packs the weights among the inputs of a case in a format of theirs. */
export function packInputs(
  inputs: Readonly<Record<string, InputArray>>,
  weights: readonly string[] = [],
  format: PackedDtype = "f32",
): PackedInputs {
  const packed = (name: string, { shape, data }: InputArray) =>
    weights.includes(name)
      ? { shape, data: packWeights(data as Float32Array<ArrayBuffer>, format, name), dtype: format }
      : { shape, data, dtype: data instanceof Uint32Array ? ("u32" as const) : ("f32" as const) };
  return Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, packed(name, input)]));
}

/** Tensors of these inputs, by name. */
export function uploadInputs(runner: Runner, inputs: PackedInputs): Record<string, Tensor> {
  const upload = (name: string, { shape, data, dtype }: PackedInputs[string]) => {
    const tensor = runner.zeros(name, shape, dtype);
    runner.write(tensor, data);
    return tensor;
  };
  return Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, upload(name, input)]));
}

export function kernelCases<
  Case extends { readonly name: string },
  B extends Kernel["bindings"],
  P extends Kernel["params"],
  C extends Kernel["constants"],
>(kernel: KernelDefinition<B, P, C>, cases: Omit<KernelCases<Case>, "kernel">): KernelCases<Case> {
  return { kernel: kernel as unknown as Kernel, ...cases };
}
