import { isBlockDtype } from "../../core/dtypes/quantization.ts";
import { type PackedDtype, packWeights } from "../../core/dtypes/stored_weights.ts";
import { Florence2Error, quote } from "../../core/errors.ts";
import type { Runner } from "../../core/runner.ts";
import {
  BYTES_PER_ELEMENT,
  type Dtype,
  elementsOf,
  rows,
  type Tensor,
  type TensorData,
} from "../../core/tensor.ts";
import { turn } from "../../core/turn.ts";
import type { NormWeights } from "../../kernels/shared/norm.ts";
import type { Linear } from "../layers.ts";
import { type FlorenceCheckpoint, type StoredTensor, tensorOf, transpose } from "./checkpoint.ts";
import { deviceDtype, isInI8 } from "./dtypes.ts";

const DTYPES = ["auto", "f32", "f16", "q8", "q4"] as const;
/**
 * How matrices are held on a device: `auto` holds f16, q8 and q4 as such, and anything else in f32. q8 and q4 are 8 and
 * 4 bits a weight with a scale for every 32, of linear layers and of the token table; other matrices are then in f16.
 */
export type WeightsDtype = (typeof DTYPES)[number];

/** The dtype of matrices under `auto`, by their dtype in the files. */
const AS_STORED = { F32: "f32", BF16: "f32", F16: "f16", Q8: "q8", Q4: "q4" } as const;
/** Of one weight in a file. */
const STORED_BYTES = { F32: 4, BF16: 2, F16: 2, Q8: 1.125, Q4: 0.625 } as const;

/** Throws option_invalid for what is none. */
export function checkDtype(dtype: string): asserts dtype is WeightsDtype {
  if ((DTYPES as readonly string[]).includes(dtype)) return;
  const expected = DTYPES.map((name) => JSON.stringify(name)).join(", ");
  throw new Florence2Error("option_invalid", `dtype is ${quote(dtype)}, expected one of ${expected}`, {
    dtype,
  });
}

export interface UploadOptions {
  /** Default `auto`. */
  readonly dtype?: WeightsDtype;
  /** Receives after each tensor how many bytes of how many, as the files hold them, are on the device. */
  readonly onProgress?: (loadedBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
}

/** The target of loading: a runner, or a double that only keeps shapes. */
export type WeightTarget = Pick<Runner, "profile" | "zeros" | "upload" | "write" | "view" | "settle">;

/**
 * Rows are read, converted and uploaded in pieces of at most this many bytes: this bounds the host's memory, and the
 * time between two turns of its event loop.
 */
const PIECE_BYTES = 2 * 2 ** 20;

/** Brings tensors of a checkpoint onto a device, by their canonical names. */
export class Loader {
  readonly #checkpoint: FlorenceCheckpoint;
  readonly #runner: WeightTarget;
  readonly #options: UploadOptions;
  readonly #totalBytes: number;
  #loadedBytes = 0;
  /** Written since the device was last asked to take what was written. */
  #unsettledBytes = 0;
  #settled: Promise<void> = Promise.resolve();

  constructor(checkpoint: FlorenceCheckpoint, runner: WeightTarget, options: UploadOptions) {
    this.#checkpoint = checkpoint;
    this.#runner = runner;
    this.#options = options;
    this.#totalBytes = [...checkpoint.tensors].reduce(
      (sum, [name, { shape }]) => sum + this.#storedBytes(name, shape),
      0,
    );
  }

  has(name: string): boolean {
    return this.#checkpoint.tensors.has(name);
  }

  /** Whether a matrix has the values of another, so that it need not be loaded: it then counts as such. */
  async isCopy(name: string, original: string): Promise<boolean> {
    if (!(await areEqual(this.#checkpoint, name, original))) return false;
    await this.#advance(name, this.#tensor(name).shape);
    return true;
  }

  /** `weight` and `bias`: of a linear layer, a norm, or filters of one channel. A layer without bias gets zeros. */
  async linear(prefix: string): Promise<Linear & NormWeights> {
    const [, inputs = 1] = this.#tensor(`${prefix}.weight`).shape;
    const isMatrix = inputs > 1;
    return {
      weight: await (isMatrix ? this.matrix(`${prefix}.weight`) : this.tensor(`${prefix}.weight`)),
      bias: this.has(`${prefix}.bias`)
        ? await this.tensor(`${prefix}.bias`)
        : this.#runner.zeros(`${prefix}.bias`, [this.#tensor(`${prefix}.weight`).shape[0]!]),
    };
  }

  /**
   * `weight` and `bias` of a convolution: filters that are (O, C, k, k) in the checkpoint, (O, k, k, C) on the device,
   * there with zeros up to a multiple of four channels.
   */
  async filters(prefix: string): Promise<Linear> {
    const name = `${prefix}.weight`;
    const [O, C, height, width] = this.#tensor(name).shape as [number, number, number, number];
    const shape = [O, height, width, Math.ceil(C / 4) * 4];
    const weight = this.#runner.zeros(name, shape, this.#dtypeOf([name]));
    await this.#fill(weight, name, (packed) => channelsLast(packed, weight, C));
    return { weight, bias: await this.tensor(`${prefix}.bias`) };
  }

  /** In f32. */
  async tensor(name: string): Promise<Tensor> {
    return this.#newFilled(name, "f32");
  }

  /** In the dtype of matrices. */
  async matrix(name: string): Promise<Tensor> {
    return this.#newFilled(name, this.#dtypeOf([name]));
  }

  /** A matrix in the dtype of matrices, times a factor. What it is made of counts as loaded elsewhere. */
  async scaled(name: string, factor: number): Promise<Tensor> {
    const tensor = this.#runner.zeros(`${name} scaled`, this.#tensor(name).shape, this.#dtypeOf([name]));
    for (const [from, to] of pieces(tensor.shape)) {
      this.#options.signal?.throwIfAborted();
      const values = (await this.#checkpoint.readRows(name, from, to)).map((value) => value * factor);
      this.#runner.write(rows(tensor, from, to), packWeights(values, tensor.dtype as PackedDtype, name));
    }
    return tensor;
  }

  /** The layers of one prefix over each other: weights (sum of out, in), biases (sum of out). */
  async stacked(prefix: string, names: readonly string[]): Promise<Linear> {
    const stack = async (part: "weight" | "bias") => {
      const parts = names.map((name) => `${prefix}.${name}.${part}`);
      const shapes = parts.map((name) => this.#tensor(name).shape);
      const height = shapes.reduce((sum, [out]) => sum + out!, 0);
      const whole = this.#runner.zeros(
        `${prefix}.{${names}}.${part}`,
        [height, ...shapes[0]!.slice(1)],
        part === "weight" ? this.#dtypeOf(parts) : "f32",
      );
      let from = 0;
      for (const [i, name] of parts.entries()) {
        const to = from + shapes[i]![0]!;
        await this.#fill(rows(whole, from, to), name);
        from = to;
      }
      return whole;
    };
    return { weight: await stack("weight"), bias: await stack("bias") };
  }

  /** A matrix that is (in, out) in the checkpoint, (out, in) on the device. */
  async transposed(name: string): Promise<Tensor> {
    const [inputs, outputs] = this.#tensor(name).shape as [number, number];
    const values = await this.#checkpoint.read(name);
    const tensor = this.#runner.zeros(name, [outputs, inputs], this.#dtypeOf([name]));
    for (const [from, to] of pieces(tensor.shape)) {
      const turned = transpose(values, inputs, outputs, from, to);
      this.#runner.write(rows(tensor, from, to), packWeights(turned, tensor.dtype as PackedDtype, name));
      await turn();
    }
    await this.#advance(name, [inputs, outputs]);
    return tensor;
  }

  async firstRow(name: string): Promise<Tensor> {
    const row = await this.#checkpoint.readRows(name, 0, 1);
    const { shape } = this.#tensor(name);
    await this.#advance(name, shape);
    return this.#runner.upload(name, [shape[1]!], row);
  }

  #tensor(name: string): StoredTensor {
    return tensorOf(this.#checkpoint.tensors, name);
  }

  /** Dtype on the device of the matrix that these are the parts of. Only linear layers and the token table are in blocks. */
  #dtypeOf(names: readonly string[]): PackedDtype {
    const parts = names.map((name) => ({ name, ...this.#tensor(name) }));
    const { dtype = "auto" } = this.#options;
    if (dtype === "auto") {
      const stored = new Set(parts.map(({ dtype }) => AS_STORED[dtype]));
      return stored.size === 1 ? [...stored][0]! : "f32";
    }
    if (!isBlockDtype(dtype)) return dtype;
    // Layers of one stack are held alike.
    const [{ name, shape }] = parts as [(typeof parts)[number]];
    const multipliesBytes = dtype === "q8" && this.#runner.profile.i8 === "faster";
    return multipliesBytes && isInI8(name, shape) ? "i8" : deviceDtype(name, shape, dtype);
  }

  async #newFilled(name: string, dtype: Dtype): Promise<Tensor> {
    const tensor = this.#runner.zeros(name, this.#tensor(name).shape, dtype);
    await this.#fill(tensor, name);
    return tensor;
  }

  /** @param reorder turns packed rows from the checkpoint's axis order into the device's */
  async #fill(target: Tensor, name: string, reorder?: (packed: TensorData) => TensorData): Promise<void> {
    const [, ...rest] = this.#tensor(name).shape;
    for (const [from, to] of pieces(target.shape)) {
      const part = rows(target, from, to);
      const memory = reorder ? undefined : this.#runner.view?.(part);
      const packed = await this.#checkpoint.readPacked(name, from, to, target.dtype as PackedDtype, memory);
      if (packed.buffer !== memory?.buffer) this.#runner.write(part, reorder ? reorder(packed) : packed);
      await this.#advance(name, [to - from, ...rest]);
    }
  }

  #storedBytes(name: string, shape: readonly number[]): number {
    return elementsOf(shape) * STORED_BYTES[this.#tensor(name).dtype];
  }

  /** Waits until all that was written is on the device. */
  async settle(): Promise<void> {
    await this.#settled;
    await this.#runner.settle();
  }

  /** Counts progress. The device takes one piece while the host reads the next, and no more pile up. */
  async #advance(name: string, shape: readonly number[]): Promise<void> {
    this.#options.signal?.throwIfAborted();
    this.#loadedBytes += this.#storedBytes(name, shape);
    this.#unsettledBytes += elementsOf(shape) * BYTES_PER_ELEMENT;
    if (this.#unsettledBytes >= PIECE_BYTES) {
      const before = this.#settled;
      this.#settled = this.#runner.settle();
      // The next call of the runner reports its failure, if nothing waits for it.
      this.#settled.catch(() => {});
      this.#unsettledBytes = 0;
      await before;
    }
    this.#options.onProgress?.(this.#loadedBytes, this.#totalBytes);
  }
}

/** Some filters (O, C, k, k) as a device has them, (O, k, k, padded): channels, which are read in fours, side by side. */
function channelsLast(packed: TensorData, { dtype, shape }: Tensor, channels: number): TensorData {
  const [, height = 1, width = 1, padded = 1] = shape;
  const taps = height * width;
  const filters = dtype === "f16" ? new Uint16Array(packed.buffer) : packed;
  const count = Math.floor(filters.length / (channels * taps));
  const turned =
    dtype === "f16" ? new Uint16Array(count * taps * padded) : new Float32Array(count * taps * padded);
  for (let o = 0; o < count; o++) {
    for (let c = 0; c < channels; c++) {
      for (let tap = 0; tap < taps; tap++) {
        turned[(o * taps + tap) * padded + c] = filters[(o * channels + c) * taps + tap]!;
      }
    }
  }
  return turned instanceof Uint16Array ? new Uint32Array(turned.buffer) : turned;
}

/** The rows of a tensor, from and to, in pieces of at most PIECE_BYTES in f32, but at least a row. */
export function* pieces([length = 1, ...row]: readonly number[]): Generator<readonly [number, number]> {
  const step = Math.max(1, Math.floor(PIECE_BYTES / (elementsOf(row) * BYTES_PER_ELEMENT)));
  for (let from = 0; from < length; from += step) yield [from, Math.min(from + step, length)];
}

/** Whether two tensors of a checkpoint have the same values. */
export async function areEqual(checkpoint: FlorenceCheckpoint, one: string, other: string): Promise<boolean> {
  for (const [from, to] of pieces(tensorOf(checkpoint.tensors, one).shape)) {
    const [piece, expected] = await Promise.all(
      [one, other].map((name) => checkpoint.readRows(name, from, to)),
    );
    if (!piece!.every((value, i) => value === expected![i])) return false;
  }
  return true;
}
