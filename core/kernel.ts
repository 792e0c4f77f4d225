import type { PackedDtype, StoredWeights } from "./dtypes/stored_weights.ts";
import { Florence2Error } from "./errors.ts";
import type { Shader } from "./shaders.ts";
import type { Dtype } from "./tensor.ts";

/**
 * Optional device features by our own short names; `device.ts` alone knows what WebGPU calls them. `matrices` are
 * units that multiply blocks of 16 x 16 in half precision and add them up in single, by subgroups of 32 lanes, beside
 * 32 KiB of workgroup memory.
 */
export type Feature = "f16" | "subgroups" | "matrices" | "timestamps";

interface Binding {
  readonly access: "read" | "write" | "readwrite";
  /** `weights`: however the tensor stores them, if `formats` knows it. */
  readonly dtype: Dtype | "weights";
  /** How shaders read weights, by what the tensor is stored as: see kernels/shared/weights.ts. */
  readonly formats?: Readonly<Partial<Record<Dtype, Shader>>>;
}

export const read = { access: "read", dtype: "f32" } as const;
export const readU32 = { access: "read", dtype: "u32" } as const;
export const write = { access: "write", dtype: "f32" } as const;
export const writeU32 = { access: "write", dtype: "u32" } as const;
/** In place: the kernel may leave elements as they were. */
export const update = { access: "readwrite", dtype: "f32" } as const;
export const updateU32 = { access: "readwrite", dtype: "u32" } as const;

type Bindings = Readonly<Record<string, Binding>>;
type Fields = Readonly<Record<string, "u32" | "f32">>;
export type Values<F> = { readonly [K in keyof F]: number };
export type Numbers = Readonly<Record<string, number>>;
/** The arrays that a twin reads and writes, by binding name. */
export type Arrays<B extends Bindings> = {
  readonly [K in keyof B]: B[K]["dtype"] extends "weights"
    ? StoredWeights
    : B[K]["dtype"] extends "u32"
      ? Uint32Array
      : Float32Array;
};

/** The interface that runners, shaders and twins of a kernel share. */
interface Signature {
  readonly bindings: Bindings;
  readonly params: Fields;
  readonly constants: Fields;
}

/** The twin of a kernel with this signature. */
export type Twin<S extends Signature> = (
  arrays: Arrays<S["bindings"]>,
  params: Values<S["params"]>,
  constants: Values<S["constants"]>,
) => void;

/** Workgroups along x, y and z. */
export type Groups = readonly [number, number, number];

/** One shader for a kernel: another algorithm, never another meaning. */
export interface Variant<P extends Fields = Fields, C extends Fields = Fields> {
  readonly label: string;
  /** The `.wgsl` file beside the kernel. */
  readonly source: Shader;
  /** Files of functions only, placed before the source. */
  readonly includes?: readonly Shader[];
  /** Sizes that the source leaves open, as `const` declarations before it. */
  readonly constants?: Readonly<Record<string, number>>;
  /** Without these it cannot run. */
  readonly needs?: readonly Feature[];
  /** Formats of weights that it reads. Default: every format of the binding. */
  readonly weights?: readonly PackedDtype[];
  /** Calls that it can serve. Default: all. */
  readonly supports?: (params: Values<P>, constants: Values<C>) => boolean;
  /** Calls for which it is taken unless another is asked for. Default: all. */
  readonly preferredFor?: (params: Values<P>, constants: Values<C>) => boolean;
  /** How many workgroups cover a call. */
  readonly groups: (params: Values<P>, constants: Values<C>) => Groups;
}

export interface KernelDefinition<B extends Bindings, P extends Fields, C extends Fields> {
  readonly name: string;
  /** In the order of `@group(0) @binding(i)`. */
  readonly bindings: B;
  /** In the order of the shader's `struct Params`, at `@group(1) @binding(0)`: change from call to call. */
  readonly params: P;
  /** The shader's `override`s: each set of values is a pipeline of its own. */
  readonly constants: C;
  /** The first that supports a call and is preferred for it is taken; the last supports every call. */
  readonly variants: readonly Variant<P, C>[];
  /** The same result on the CPU, as plainly as it can be said: fallback, and truth for the shaders. */
  readonly twin: (arrays: Arrays<B>, params: Values<P>, constants: Values<C>) => void;
}

/** A kernel as runners see it, its particular names forgotten. */
export interface Kernel {
  readonly name: string;
  readonly bindings: Bindings;
  readonly params: Fields;
  readonly constants: Fields;
  readonly variants: readonly Variant[];
  readonly twin: (arrays: Readonly<Record<string, never>>, params: Numbers, constants: Numbers) => void;
}

export function defineKernel<const B extends Bindings, const P extends Fields, const C extends Fields>(
  definition: KernelDefinition<B, P, C>,
): KernelDefinition<B, P, C> {
  const last = definition.variants[definition.variants.length - 1];
  if (!last || last.needs || last.weights || last.supports || last.preferredFor) {
    throw new Florence2Error(
      "gpu_invalid",
      `${definition.name}: the last variant must fit every device and call`,
    );
  }
  return definition;
}

/** The inputs to the choice of a variant. */
export interface Call {
  readonly kernel: Kernel;
  readonly params: Numbers;
  readonly constants: Numbers;
  /** The formats of the tensors that hold weights. */
  readonly weights: readonly Dtype[];
}

/** The variants whose features the device has and whose conditions the call meets, best first. */
export function eligibleVariants(
  { kernel, params, constants, weights }: Call,
  features: ReadonlySet<Feature>,
): readonly Variant[] {
  return kernel.variants.filter(
    ({ needs = [], weights: readable, supports }) =>
      needs.every((feature) => features.has(feature)) &&
      (readable === undefined || weights.every((dtype) => readable.some((one) => one === dtype))) &&
      (supports?.(params, constants) ?? true),
  );
}

/** Devices take at most this many workgroups along one dimension. */
const MAX_GROUPS_PER_DIMENSION = 65_535;

/** `count` workgroups folded into two dimensions; shaders unfold it with `linear_workgroup` of grid.wgsl. */
export function linearGroups(count: number): Groups {
  const y = Math.ceil(count / MAX_GROUPS_PER_DIMENSION);
  return [Math.ceil(count / Math.max(y, 1)), y, 1];
}

export const ceilDiv = (a: number, b: number) => Math.ceil(a / b);
