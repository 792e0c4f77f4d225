/** The cases of kernels, run one by one. */
import { readdirSync } from "node:fs";
import { GROUP } from "../core/dtypes/integers.ts";
import { BLOCK } from "../core/dtypes/quantization.ts";
import type { PackedDtype } from "../core/dtypes/stored_weights.ts";
import { type DeviceProfile, type Dispatch, PORTABLE_PROFILE, Recording } from "../core/recording.ts";
import type { Runner } from "../core/runner.ts";
import { columnsOf, elementsOf, newTensor, type TensorData } from "../core/tensor.ts";
import {
  type KernelCases,
  type PackedInputs,
  packInputs,
  type RandomArrays,
  uploadInputs,
} from "../kernels/shared/kernel_cases.ts";
import { weights } from "../kernels/shared/weights.ts";
import { randomArrays } from "./generated/random.ts";

export type Case = { readonly name: string };
export type AnyKernelCases = KernelCases<Case>;

/** What weights may be stored as. */
export type WeightFormat = PackedDtype;
/** Blocks are tried where there is less to compute and to pack: reading them is all that differs. */
const MAX_OPERATIONS_IN_BLOCKS = 1e8;
const MAX_WEIGHTS_IN_BLOCKS = 2e6;

/** The cases of all kernels: `kernels/<name>/<name>.cases.ts`, or what the build made of them. */
export async function loadKernelCases(): Promise<readonly AnyKernelCases[]> {
  const kernels = new URL("../kernels/", import.meta.url);
  const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const names = readdirSync(kernels, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(`.cases.${ending}`))
    .sort();
  const modules = await Promise.all(
    names.map((name) => import(new URL(name, kernels).href) as Promise<{ default: AnyKernelCases }>),
  );
  return modules.map((module) => module.default);
}

const SHAPES_ONLY: RandomArrays = {
  normal: (...shape) => ({ shape, data: new Float32Array() }),
  integers: (_limit, ...shape) => ({ shape, data: new Uint32Array() }),
};

/**
 * The kernel's call in a case by this variant, without any data; `undefined` where the variant cannot serve it.
 * Without a label, by the variant that is taken.
 */
export function dispatchOf(
  suite: AnyKernelCases,
  testCase: Case,
  label: string | undefined,
  profile?: DeviceProfile,
  format: WeightFormat = "f32",
): Dispatch | undefined {
  const tensors = suite.inputs(testCase, SHAPES_ONLY);
  const dtypeOf = (name: string, data: TensorData) =>
    suite.weights?.includes(name) ? format : data instanceof Uint32Array ? "u32" : "f32";
  const rec = new Recording({
    profile,
    variants: label === undefined ? {} : { [suite.kernel.name]: label },
  });
  const inputs = Object.entries(tensors).map(([name, { shape, data }]) => [
    name,
    newTensor(name, shape, dtypeOf(name, data), "owned"),
  ]);
  suite.record(rec, Object.fromEntries(inputs), testCase);
  return rec.dispatches.find(
    ({ kernel, variant }) => kernel === suite.kernel && (label ?? variant.label) === variant.label,
  );
}

/** Numbers that a case is given. */
export function countInputs(suite: AnyKernelCases, testCase: Case): number {
  const inputs = Object.values(suite.inputs(testCase, SHAPES_ONLY));
  return inputs.reduce((sum, { shape }) => sum + elementsOf(shape), 0);
}

/** Weights of a row that some formats take at a time. */
const UNIT: Readonly<Partial<Record<WeightFormat, number>>> = { q8: BLOCK, q4: BLOCK, i8: GROUP };

/** In which formats a device can run a case; in blocks or groups only if rows of weights consist of them. */
export function weightFormats(
  suite: AnyKernelCases,
  testCase: Case,
  profile: DeviceProfile = PORTABLE_PROFILE,
): readonly WeightFormat[] {
  const inputs = suite.inputs(testCase, SHAPES_ONLY);
  const consistsOf = (unit: number) =>
    suite.weights?.every((name) => elementsOf(inputs[name]!.shape.slice(1)) % unit === 0);
  const count = suite.weights?.reduce((sum, name) => sum + elementsOf(inputs[name]!.shape), 0) ?? 0;
  const isSmall =
    suite.work(testCase).operations <= MAX_OPERATIONS_IN_BLOCKS && count <= MAX_WEIGHTS_IN_BLOCKS;
  const formats = [...Object.keys(weights.formats), ...(profile.i8 ? ["i8"] : [])] as WeightFormat[];
  return formats.filter((format) => {
    const unit = UNIT[format];
    return unit === undefined || (isSmall && consistsOf(unit));
  });
}

/** The inputs of a case, with weights in this format: the same numbers at each call. */
export function inputsOf<C extends Case>(
  suite: KernelCases<C>,
  testCase: C,
  format?: WeightFormat,
): PackedInputs {
  return packInputs(suite.inputs(testCase, randomArrays(1)), suite.weights, format);
}

/** The outputs of a case, by tensor name. */
export type Outputs = ReadonlyMap<string, { readonly data: TensorData; readonly columns: number }>;

/** What one case writes on one runner. */
export async function runCase(
  runner: Runner,
  suite: AnyKernelCases,
  testCase: Case,
  inputs: PackedInputs,
  variant?: string,
): Promise<Outputs> {
  const tensors = uploadInputs(runner, inputs);
  const rec = new Recording({
    profile: runner.profile,
    variants: variant === undefined ? {} : { [suite.kernel.name]: variant },
  });
  const outputs = Object.entries(suite.record(rec, tensors, testCase));
  for (const [, tensor] of outputs) rec.keep(tensor);
  const program = await runner.prepare(rec);
  try {
    await program.run();
    const results = new Map<string, { data: TensorData; columns: number }>();
    for (const [name, tensor] of outputs) {
      results.set(name, { data: await runner.read(tensor), columns: columnsOf(tensor) });
    }
    return results;
  } finally {
    program.dispose();
    for (const tensor of Object.values(tensors)) runner.free(tensor);
  }
}
