import { Florence2Error } from "./errors.ts";
import {
  type Arrays,
  type Call,
  eligibleVariants,
  type Feature,
  type Kernel,
  type KernelDefinition,
  type Numbers,
  type Values,
  type Variant,
} from "./kernel.ts";
import {
  BYTES_PER_ELEMENT,
  byteOffsetOf,
  bytesOf,
  type Dtype,
  isBindable,
  newTensor,
  rowAlignment,
  rows,
  rowsOf,
  type Storage,
  type Tensor,
} from "./tensor.ts";

/** The abilities of a device on which recordings depend. */
export interface DeviceProfile {
  readonly features: ReadonlySet<Feature>;
  /** The largest part of a buffer that one shader binding may see. */
  readonly maxBindingBytes: number;
  /** Where weights may be in i8: whether products with them are faster than those of f32. */
  readonly i8?: "faster" | "slower";
  /** How many parts of a call are worth being computed at the same time. Default: those of a large GPU. */
  readonly workgroups?: number;
  /** The largest band that tensors are cut into. Default: what can be bound; tests make it small. */
  readonly maxBandBytes?: number;
}

/** The abilities that every WebGPU device has. */
export const PORTABLE_PROFILE: DeviceProfile = { features: new Set(), maxBindingBytes: 128 * 2 ** 20 };

/** One kernel call: plain data, run later by any runner. */
export interface Dispatch extends Call {
  readonly variant: Variant;
  /** In the order of the kernel's bindings. */
  readonly tensors: readonly Tensor[];
  /** The nearest named stage around the call, for error messages and profiles. */
  readonly scope: string;
  /** Neighbours in the same row do not depend on each other: see `together`. */
  readonly row?: number;
}

export interface RecordingOptions {
  readonly profile?: DeviceProfile;
  /** Selects the named stages to keep after the run; none by default. */
  readonly taps?: (name: string) => boolean;
  /** Variant labels by kernel name, for tests and benches of variants that would not be chosen. */
  readonly variants?: Readonly<Record<string, string>>;
}

/**
 * A list of kernel calls that is written down first and run afterwards, as often as wanted. Nothing
 * here touches a device; see `plan.ts` for the memory and the runners for the execution.
 */
export class Recording {
  readonly dispatches: Dispatch[] = [];
  /** Storages whose content outlives the run: outputs and taps that were asked for. */
  readonly kept = new Set<Storage>();
  /** The tensors of named stages, in the order in which they were recorded. */
  readonly taps = new Map<string, Tensor>();
  readonly profile: DeviceProfile;
  readonly #options: RecordingOptions;
  #scope = "";
  #counter: Tensor | undefined;
  #rows = 0;

  constructor(options: RecordingOptions = {}) {
    this.profile = options.profile ?? PORTABLE_PROFILE;
    this.#options = options;
  }

  /** A tensor that lives until its last use in this recording. */
  temp(shape: readonly number[], dtype: Dtype = "f32"): Tensor {
    return newTensor(this.#scope, shape, dtype, "temp");
  }

  /** Marks a result: its memory is not reused, and it can be read after the run. */
  keep(tensor: Tensor): Tensor {
    this.kept.add(tensor.storage);
    return tensor;
  }

  /**
   * Names a stage of the model. Costs nothing unless the caller of the recording asked for it. Give a function if the
   * stage has no tensor of its own: it is recorded only when tapped.
   */
  tap<T extends Tensor | (() => Tensor)>(name: string, stage: T): T {
    if (this.#options.taps?.(name)) {
      const given: Tensor | (() => Tensor) = stage;
      const tensor = typeof given === "function" ? given() : given;
      this.taps.set(name, tensor);
      this.keep(tensor);
    }
    return stage;
  }

  /** Everything recorded inside `body` carries this name in errors and profiles. */
  scope<T>(name: string, body: () => T): T {
    const outer = this.#scope;
    this.#scope = outer ? `${outer}.${name}` : name;
    try {
      return body();
    } finally {
      this.#scope = outer;
    }
  }

  /**
   * Records several pieces of work that do not depend on each other, call by call side by side: the first calls of
   * all make up a row, the second calls the next. A device may run a row's calls at the same time.
   */
  together<T>(pieces: number, body: (index: number) => T): T[] {
    const begin = this.dispatches.length;
    const columns: Dispatch[][] = [];
    const results: T[] = [];
    for (let i = 0; i < pieces; i++) {
      results.push(body(i));
      columns.push(this.dispatches.splice(begin));
    }
    const longest = Math.max(0, ...columns.map(({ length }) => length));
    for (let i = 0; i < longest; i++) {
      const row = this.#rows++;
      for (const [dispatch] of columns.map((column) => column.slice(i, i + 1)))
        if (dispatch) this.dispatches.push({ ...dispatch, row });
    }
    return results;
  }

  /**
   * Lets the recording work only while this owned u32 (1) is not 0, so that it can be run more often than
   * needed at little cost: a dispatch then does nothing, unless it is one that writes the counter.
   */
  runWhile(counter: Tensor): void {
    this.#counter = counter;
  }

  /** The counter that decides whether a dispatch does anything; `undefined` if it always does. */
  counterOf({ tensors }: Dispatch): Tensor | undefined {
    return tensors.some(({ storage }) => storage === this.#counter?.storage) ? undefined : this.#counter;
  }

  dispatch<B extends Kernel["bindings"], P extends Kernel["params"], C extends Kernel["constants"]>(
    definition: KernelDefinition<B, P, C>,
    tensors: { readonly [K in keyof Arrays<B>]: Tensor },
    params: Values<P>,
    constants: Values<C>,
  ): void {
    // A kernel is defined with its own names and run without them; this is the only place of the change.
    const kernel = definition as unknown as Kernel;
    const bound = Object.keys(kernel.bindings).map((name) => {
      const tensor = (tensors as Record<string, Tensor>)[name];
      if (!tensor) throw this.#misuse(kernel, `binding ${name} is missing`);
      this.#checkBinding(kernel, name, tensor);
      return tensor;
    });
    for (const [i, name] of Object.keys(kernel.bindings).entries()) {
      if (kernel.bindings[name]!.access === "read") continue;
      if (
        bound.some((other, j) => j !== i && other.storage === bound[i]!.storage && overlaps(other, bound[i]!))
      ) {
        throw this.#misuse(kernel, `${name} is written and bound a second time`);
      }
    }
    for (const field of [...Object.keys(kernel.params), ...Object.keys(kernel.constants)]) {
      const value = (params as Numbers)[field] ?? (constants as Numbers)[field];
      if (typeof value !== "number" || !Number.isFinite(value))
        throw this.#misuse(kernel, `${field} is ${value}`);
    }
    const call = { kernel, params, constants, weights: weightDtypes(kernel, bound) };
    const eligible = eligibleVariants(call, this.profile.features);
    const labelled = (wanted: string | undefined) => eligible.find(({ label }) => label === wanted);
    const variant =
      labelled(this.#options.variants?.[kernel.name]) ??
      // The last one serves every call (see defineKernel).
      eligible.find(({ preferredFor }) => preferredFor?.(params, constants) ?? true)!;
    this.dispatches.push({ ...call, variant, tensors: bound, scope: this.#scope });
  }

  /**
   * Cuts a tensor (rows, ...) into bands along its first axis such that a row of `rowBytes` (by default
   * its own; larger where a wider result is made from it) fits the device's largest binding: a table (1000, 24) of
   * f32 on a device that binds 32 KiB, in multiples of 3 rows → rows 0 to 336, 336 to 672, 672 to 1000.
   */
  bands(tensor: Tensor, rowBytes = bytesOf(tensor) / rowsOf(tensor), multiple = 1): Band[] {
    const length = tensor.shape[0] ?? 0;
    const unit = lcm(multiple, rowAlignment(bytesOf(tensor) / Math.max(length, 1) || BYTES_PER_ELEMENT));
    const fit = Math.floor((this.profile.maxBandBytes ?? this.profile.maxBindingBytes) / rowBytes);
    const size = fit >= length ? length : Math.max(unit, fit - (fit % unit));
    const bands: Band[] = [];
    for (let from = 0; from < length; from += size) {
      const to = Math.min(from + size, length);
      bands.push({ from, to, tensor: rows(tensor, from, to) });
    }
    return bands;
  }

  #checkBinding(kernel: Kernel, name: string, tensor: Tensor): void {
    const { dtype, formats } = kernel.bindings[name]!;
    const expected = formats ? [...Object.keys(formats), ...(this.profile.i8 ? ["i8"] : [])] : [dtype];
    if (!expected.includes(tensor.dtype))
      throw this.#misuse(kernel, `${name} is ${tensor.dtype}, expected ${expected.join(" or ")}`);
    if (!isBindable(tensor)) throw this.#misuse(kernel, `${name} begins at element ${tensor.offset}`);
    const bytes = bytesOf(tensor);
    if (bytes === 0) throw this.#misuse(kernel, `${name} is empty`);
    if (bytes > this.profile.maxBindingBytes) {
      throw this.#misuse(
        kernel,
        `${name} of [${tensor.shape}] takes ${bytes} bytes, this device binds ${this.profile.maxBindingBytes}`,
      );
    }
  }

  #misuse(kernel: Kernel, problem: string): Florence2Error {
    const where = this.#scope ? ` in ${this.#scope}` : "";
    return new Florence2Error("shape_mismatch", `${kernel.name}${where}: ${problem}`, {
      kernel: kernel.name,
    });
  }
}

function weightDtypes({ bindings }: Kernel, tensors: readonly Tensor[]): Dtype[] {
  return Object.values(bindings).flatMap(({ formats }, i) => (formats ? [tensors[i]!.dtype] : []));
}

/** Rows `from` to `to` of a tensor that is too large to be bound whole. */
interface Band {
  readonly from: number;
  readonly to: number;
  readonly tensor: Tensor;
}

function overlaps(a: Tensor, b: Tensor): boolean {
  const end = (t: Tensor) => byteOffsetOf(t) + bytesOf(t);
  return byteOffsetOf(a) < end(b) && byteOffsetOf(b) < end(a);
}

function lcm(a: number, b: number): number {
  const gcd = (x: number, y: number): number => (y === 0 ? x : gcd(y, x % y));
  return (a / gcd(a, b)) * b;
}
