/** The kernel calls of a model, timed one by one by each variant that can serve them. */
import { type PackedDtype, packWeights } from "../core/dtypes/stored_weights.ts";
import { eligibleVariants } from "../core/kernel.ts";
import { type DeviceProfile, type Dispatch, Recording } from "../core/recording.ts";
import type { Runner } from "../core/runner.ts";
import { bytesOf, elementsOf, type Tensor } from "../core/tensor.ts";
import { parseConfig } from "../model/config/config.ts";
import { RELEASED_IMAGE_CONFIG } from "../model/config/image.ts";
import { settingsFor } from "../model/generation/options.ts";
import { firstRecordings } from "../model/loading/compile_ahead.ts";
import { released } from "./generated/configurations.ts";
import { parityCheckpoint } from "./generated/parity_weights.ts";
import { randomArrays } from "./generated/random.ts";
import { operationsOf } from "./operations.ts";
import { measure } from "./timing.ts";
import type { Observer } from "./watch.ts";

/** A call that an answer makes, once or often. */
export interface ModelCall {
  readonly dispatch: Dispatch;
  /** `vision`, `encoder` or a step of decoding. */
  readonly phase: string;
  readonly count: number;
}

export interface CallTime {
  readonly phase: string;
  readonly kernel: string;
  /** What tells the call from others of the kernel: its params and constants. */
  readonly shape: string;
  /** How often an answer, or a step of decoding, makes it. */
  readonly count: number;
  readonly variant: string;
  /** Whether it is the one that is taken unless another is asked for. */
  readonly isDefault: boolean;
  /** Milliseconds of one call: by the GPU's clock, where it has one. */
  readonly ms: number;
  readonly gigabytesPerSecond: number;
  readonly gigaflopsPerSecond: number;
}

/** Inputs are read in turn from as much memory as this, so that no cache holds all of them. */
const POOL_BYTES = 128 * 2 ** 20;
/** A sample is to take this long, if that does not take more calls than these; a call that lasts longer is timed once. */
const SAMPLE_MS = 10;
const MAX_CALLS = 256;
const SAMPLES = 5;
/** Elements of the pattern that fills the inputs. */
const PATTERN = 2 ** 16;

/**
 * The calls of an answer of a released size to one image, and of one step of decoding, greedy and with 3 beams; those
 * that take the most arithmetic come first. Calls that read whole numbers (tokens, lengths) are left out: their time
 * depends on them.
 */
export async function modelCalls(
  size: "base" | "large",
  dtype: "f16" | "f32",
  profile: DeviceProfile,
): Promise<readonly ModelCall[]> {
  const config = parseConfig(released(size));
  const model = { checkpoint: parityCheckpoint(config), config, imageConfig: RELEASED_IMAGE_CONFIG, dtype };
  const of = (numBeams: number) => firstRecordings(model, profile, settingsFor(config, { numBeams }));
  const [vision, encoding, greedy] = await of(1);
  const [, , beams] = await of(3);
  const phases = { vision, encoder: encoding, "step, greedy": greedy, "step, 3 beams": beams };
  const calls = new Map<string, ModelCall>();
  for (const [phase, { dispatches }] of Object.entries(phases)) {
    for (const dispatch of dispatches) {
      if (dispatch.tensors.some(({ dtype }) => dtype === "u32")) continue;
      const shapes = dispatch.tensors.map(({ shape, dtype }) => [dtype, ...shape]);
      const key = JSON.stringify([phase, dispatch.kernel.name, shapeOf(dispatch), shapes]);
      calls.set(key, { dispatch, phase, count: (calls.get(key)?.count ?? 0) + 1 });
    }
  }
  const workOf = ({ dispatch, count }: ModelCall) => count * (operationsOf(dispatch) + bytesBound(dispatch));
  return [...calls.values()].sort((a, b) => workOf(b) - workOf(a));
}

export const nameOf = ({ phase, dispatch }: ModelCall) =>
  `${phase}: ${dispatch.kernel.name}, ${shapeOf(dispatch)}`;

/** Times calls on a device; holds the memory that they read. */
export class CallTimer {
  readonly #runner: Runner;
  readonly #observer: Observer;
  readonly #pools = new Map<string, Tensor>();

  constructor(runner: Runner, observer: Observer) {
    this.#runner = runner;
    this.#observer = observer;
  }

  /** One line for each variant that can serve the call. */
  async *time({ dispatch, phase, count }: ModelCall): AsyncGenerator<CallTime> {
    for (const variant of eligibleVariants(dispatch, this.#runner.profile.features)) {
      const ms = await this.#timeVariant({ ...dispatch, variant });
      yield {
        phase,
        kernel: dispatch.kernel.name,
        shape: shapeOf(dispatch),
        count,
        variant: variant.label,
        isDefault: variant === dispatch.variant,
        ms,
        gigabytesPerSecond: bytesBound(dispatch) / ms / 1e6,
        gigaflopsPerSecond: operationsOf(dispatch) / ms / 1e6,
      };
    }
  }

  /** Milliseconds. Calls follow one another as in a model: each writes what the one before has written. */
  async #timeVariant(dispatch: Dispatch): Promise<number> {
    const outputs = dispatch.tensors.map((tensor, i) =>
      isRead(dispatch, i) ? undefined : this.#runner.zeros("output", tensor.shape, tensor.dtype),
    );
    try {
      const single = await this.#run(dispatch, outputs, 1, 1);
      const fit = Math.floor(POOL_BYTES / bytesBound(dispatch));
      const calls = Math.min(Math.ceil(SAMPLE_MS / single), fit, MAX_CALLS);
      return calls > 1 ? await this.#run(dispatch, outputs, calls, SAMPLES) : single;
    } finally {
      for (const tensor of outputs) if (tensor) this.#runner.free(tensor);
    }
  }

  /** Milliseconds of one call of so many in one submission. */
  async #run(
    dispatch: Dispatch,
    outputs: readonly (Tensor | undefined)[],
    calls: number,
    samples: number,
  ): Promise<number> {
    const recording = new Recording({ profile: this.#runner.profile });
    const next = new Map<string, number>();
    for (let call = 0; call < calls; call++) {
      const views = new Map<Tensor, Tensor>();
      const tensors = dispatch.tensors.map((tensor, i) => {
        const view = outputs[i] ?? views.get(tensor) ?? this.#view(tensor, next);
        views.set(tensor, view);
        return view;
      });
      recording.dispatches.push({ ...dispatch, tensors });
    }
    const program = await this.#runner.prepare(recording);
    try {
      const run = async () => {
        await program.run();
        await this.#runner.settle();
      };
      const { ms, gpuMs } = await measure(
        this.#observer,
        { run, pieces: () => calls },
        { seconds: 0, samples },
      );
      return gpuMs || ms;
    } finally {
      program.dispose();
    }
  }

  /** The next piece of the pool that holds such a tensor. */
  #view({ shape, dtype }: Tensor, next: Map<string, number>): Tensor {
    const pool =
      this.#pools.get(dtype) ?? this.#newPool(dtype as PackedDtype, bytesOf({ shape, dtype } as Tensor));
    const elements = elementsOf(shape);
    // At multiples of 256 elements every element type can be bound.
    const length = Math.ceil(elements / 256) * 256;
    const from = (next.get(dtype) ?? 0) + length > pool.shape[0]! ? 0 : (next.get(dtype) ?? 0);
    next.set(dtype, from + length);
    return { ...pool, offset: from, shape };
  }

  /** Filled with one pattern over and over: small numbers, as weights and activations are. */
  #newPool(dtype: PackedDtype, least: number): Tensor {
    const unit = dtype === "f32" ? 4 : 2;
    const elements = Math.ceil(Math.max(POOL_BYTES, least) / unit / PATTERN) * PATTERN;
    const pattern = packWeights(
      randomArrays(1).normal(PATTERN).data as Float32Array<ArrayBuffer>,
      dtype,
      "pattern",
    );
    const words = (elements * unit) / 4;
    const content = dtype === "f32" ? new Float32Array(words) : new Uint32Array(words);
    for (let at = 0; at < words; at += pattern.length) content.set(pattern, at);
    const pool = this.#runner.zeros(`pool of ${dtype}`, [elements], dtype);
    this.#runner.write(pool, content);
    this.#pools.set(dtype, pool);
    return pool;
  }
}

const isRead = ({ kernel }: Dispatch, i: number) => Object.values(kernel.bindings)[i]!.access === "read";

/** Bytes of what is bound, each tensor once. */
export function bytesBound({ tensors }: Dispatch): number {
  return [...new Set(tensors)].reduce((sum, tensor) => sum + bytesOf(tensor), 0);
}

/** `M 2304, N 2048, K 512, HAS_BIAS 1`: what is 0 is left out. */
function shapeOf({ params, constants }: Dispatch): string {
  return Object.entries({ ...params, ...constants })
    .filter(([, value]) => value !== 0)
    .map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`)
    .join(", ");
}
