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
import type { DecoderLayerWeights, EncoderLayerWeights, TextWeights } from "../bart.ts";
import type { Florence2Config } from "../config/config.ts";
import type { BlockWeights, StageWeights } from "../davit.ts";
import type { Affine, Linear } from "../layers.ts";
import type { ProjectorWeights } from "../projector.ts";
import {
  expectedTensors,
  type FlorenceCheckpoint,
  heldForBlocks,
  LOGITS_BIAS,
  OUTPUT_HEAD,
  SHARED_EMBEDDING,
  TEMPORAL_POSITIONS,
  TIED_COPIES,
  transpose,
} from "./checkpoint.ts";

/** All weights of a model on one device. */
export interface Weights {
  readonly vision: readonly StageWeights[];
  readonly projector: ProjectorWeights;
  readonly text: TextWeights;
}

const DTYPES = ["auto", "f32", "f16", "q8", "q4"] as const;
/**
 * How matrices are held on a device: `auto` holds f16, q8 and q4 as such, and anything else in f32. q8 and q4 are 8 and
 * 4 bits a weight with a scale for every 32, of linear layers and of the token table; other matrices are then in f16.
 */
export type WeightsDtype = (typeof DTYPES)[number];

/** What `auto` holds matrices in, by what files store them in. */
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

export interface LoadOptions {
  /** Default `auto`. */
  readonly dtype?: WeightsDtype;
  /** Told after each tensor how many bytes of how many, as the files hold them, are on the device. */
  readonly onProgress?: (loadedBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
}

/** What weights are brought to: a runner, or what only keeps their shapes. */
export type WeightTarget = Pick<Runner, "zeros" | "upload" | "write" | "settle">;

/** Rows are read and uploaded in pieces of at most this many bytes: what bounds the host's memory. */
const PIECE_BYTES = 16 * 2 ** 20;

/**
 * Uploads a checkpoint, tensor by tensor in pieces, under the checkpoint's own names. Attention's
 * q, k and v are stacked, so that one matrix product makes all three; so are the k and v of all decoder
 * layers' cross-attention. Matrices, which are nearly all there is, may be held in half precision; norms, biases,
 * filters of one channel and positions are always f32.
 */
export async function loadWeights(
  checkpoint: FlorenceCheckpoint,
  config: Florence2Config,
  runner: WeightTarget,
  options: LoadOptions = {},
): Promise<Weights> {
  const load = new Loader(checkpoint, config, runner, options);
  const vision: StageWeights[] = [];
  for (const [s, depth] of config.vision.depths.entries()) vision.push(await stage(load, s, depth));
  const weights = { vision, projector: await projector(load), text: await text(load, config) };
  await load.settle();
  return weights;
}

async function stage(load: Loader, s: number, depth: number): Promise<StageWeights> {
  const embed = {
    conv: await load.filters(`vision_tower.convs.${s}.proj`),
    norm: await load.linear(`vision_tower.convs.${s}.norm`),
  };
  const blocks: { spatial: BlockWeights; channel: BlockWeights }[] = [];
  for (let j = 0; j < depth; j++) {
    const prefix = `vision_tower.blocks.${s}.${j}`;
    blocks.push({
      spatial: await visionBlock(load, `${prefix}.spatial_block`, "window_attn"),
      channel: await visionBlock(load, `${prefix}.channel_block`, "channel_attn"),
    });
  }
  return { embed, blocks };
}

async function visionBlock(load: Loader, prefix: string, attention: string): Promise<BlockWeights> {
  return all({
    conv1: load.linear(`${prefix}.conv1.fn.dw`),
    norm1: load.linear(`${prefix}.${attention}.norm`),
    qkv: load.linear(`${prefix}.${attention}.fn.qkv`),
    proj: load.linear(`${prefix}.${attention}.fn.proj`),
    conv2: load.linear(`${prefix}.conv2.fn.dw`),
    norm2: load.linear(`${prefix}.ffn.norm`),
    fc1: load.linear(`${prefix}.ffn.fn.net.fc1`),
    fc2: load.linear(`${prefix}.ffn.fn.net.fc2`),
  });
}

async function projector(load: Loader): Promise<ProjectorWeights> {
  return {
    projection: await load.transposed("image_projection"),
    norm: await load.linear("image_proj_norm"),
    rowEmbeddings: await load.tensor("image_pos_embed.row_embeddings.weight"),
    columnEmbeddings: await load.tensor("image_pos_embed.column_embeddings.weight"),
    temporal: await load.firstRow(TEMPORAL_POSITIONS),
  };
}

async function text(load: Loader, config: Florence2Config): Promise<TextWeights> {
  const prefix = "language_model.model";
  const embeddings = await load.matrix(SHARED_EMBEDDING);
  const isTied = !load.has(OUTPUT_HEAD) || (await load.isCopy(OUTPUT_HEAD, SHARED_EMBEDDING));
  const head = isTied ? embeddings : await load.matrix(OUTPUT_HEAD);
  const headBias = load.has(LOGITS_BIAS) ? await load.tensor(LOGITS_BIAS) : undefined;
  const encoderLayers: EncoderLayerWeights[] = [];
  for (let i = 0; i < config.text.encoderLayers; i++) {
    encoderLayers.push(await encoderLayer(load, `${prefix}.encoder.layers.${i}`));
  }
  const decoderLayers: DecoderLayerWeights[] = [];
  for (let i = 0; i < config.text.decoderLayers; i++) {
    decoderLayers.push(await decoderLayer(load, `${prefix}.decoder.layers.${i}`));
  }
  const coder = async <Layer>(name: string, layers: readonly Layer[]) => ({
    positions: await load.tensor(`${prefix}.${name}.embed_positions.weight`),
    embeddingNorm: await load.linear(`${prefix}.${name}.layernorm_embedding`),
    layers,
  });
  return {
    embeddings,
    head,
    headBias,
    encoder: await coder("encoder", encoderLayers),
    decoder: {
      ...(await coder("decoder", decoderLayers)),
      crossKeysValues: await load.stacked(
        `${prefix}.decoder.layers`,
        decoderLayers.flatMap((_, i) => ["k_proj", "v_proj"].map((part) => `${i}.encoder_attn.${part}`)),
      ),
    },
  };
}

async function encoderLayer(load: Loader, prefix: string): Promise<EncoderLayerWeights> {
  return all({
    qkv: load.stacked(`${prefix}.self_attn`, ["q_proj", "k_proj", "v_proj"]),
    out: load.linear(`${prefix}.self_attn.out_proj`),
    selfAttentionNorm: load.linear(`${prefix}.self_attn_layer_norm`),
    fc1: load.linear(`${prefix}.fc1`),
    fc2: load.linear(`${prefix}.fc2`),
    finalNorm: load.linear(`${prefix}.final_layer_norm`),
  });
}

async function decoderLayer(load: Loader, prefix: string): Promise<DecoderLayerWeights> {
  return {
    ...(await encoderLayer(load, prefix)),
    ...(await all({
      crossQuery: load.linear(`${prefix}.encoder_attn.q_proj`),
      crossOut: load.linear(`${prefix}.encoder_attn.out_proj`),
      crossAttentionNorm: load.linear(`${prefix}.encoder_attn_layer_norm`),
    })),
  };
}

/** The parts of a layer at once: while one is written to the device, others are read. */
async function all<Layer extends object>(
  parts: {
    readonly [Part in keyof Layer]: Promise<Layer[Part]>;
  },
): Promise<Layer> {
  const values = await Promise.all(Object.values<Promise<unknown>>(parts));
  return Object.fromEntries(Object.keys(parts).map((name, i) => [name, values[i]])) as Layer;
}

/** Brings tensors of a checkpoint onto a device, by their canonical names. */
class Loader {
  readonly #checkpoint: FlorenceCheckpoint;
  readonly #runner: WeightTarget;
  readonly #options: LoadOptions;
  readonly #totalBytes: number;
  #loadedBytes = 0;
  /** Written since the device was last asked to take what was written. */
  #unsettledBytes = 0;
  #settled: Promise<void> = Promise.resolve();

  constructor(
    checkpoint: FlorenceCheckpoint,
    config: Florence2Config,
    runner: WeightTarget,
    options: LoadOptions,
  ) {
    this.#checkpoint = checkpoint;
    this.#runner = runner;
    this.#options = options;
    this.#totalBytes = [...expectedTensors(config).keys()]
      .filter((name) => checkpoint.has(name) && !TIED_COPIES.includes(name))
      .reduce((sum, name) => sum + this.#storedBytes(name, checkpoint.tensor(name).shape), 0);
  }

  has(name: string): boolean {
    return this.#checkpoint.has(name);
  }

  /** Whether a matrix has the values of another, so that it need not be loaded: it then counts as such. */
  async isCopy(name: string, original: string): Promise<boolean> {
    const { shape } = this.#checkpoint.tensor(name);
    for (const [from, to] of pieces(shape)) {
      const [piece, expected] = await Promise.all(
        [name, original].map((one) => this.#checkpoint.readRows(one, from, to)),
      );
      if (!piece!.every((value, i) => value === expected![i])) return false;
    }
    await this.#advance(name, shape);
    return true;
  }

  /** `weight` and `bias`: of a linear layer, a norm, or filters of one channel. */
  async linear(prefix: string): Promise<Linear & Affine> {
    const [, inputs = 1] = this.#checkpoint.tensor(`${prefix}.weight`).shape;
    const isMatrix = inputs > 1;
    return {
      weight: await (isMatrix ? this.matrix(`${prefix}.weight`) : this.tensor(`${prefix}.weight`)),
      bias: await this.tensor(`${prefix}.bias`),
    };
  }

  /**
   * `weight` and `bias` of a convolution: filters that are (O, C, k, k) in the checkpoint, (O, k, k, C) on the device,
   * there with zeros up to a multiple of four channels.
   */
  async filters(prefix: string): Promise<Linear> {
    const name = `${prefix}.weight`;
    const [O, C, height, width] = this.#checkpoint.tensor(name).shape as [number, number, number, number];
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

  /** The layers of one prefix over each other: weights (sum of out, in), biases (sum of out). */
  async stacked(prefix: string, names: readonly string[]): Promise<Linear> {
    const stack = async (part: "weight" | "bias") => {
      const parts = names.map((name) => `${prefix}.${name}.${part}`);
      const shapes = parts.map((name) => this.#checkpoint.tensor(name).shape);
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
    const [inputs, outputs] = this.#checkpoint.tensor(name).shape as [number, number];
    const turned = transpose(await this.#checkpoint.read(name), inputs, outputs);
    const tensor = this.#runner.zeros(name, [outputs, inputs], this.#dtypeOf([name]));
    this.#runner.write(tensor, packWeights(turned, tensor.dtype as PackedDtype, name));
    await this.#advance(name, [inputs, outputs]);
    return tensor;
  }

  async firstRow(name: string): Promise<Tensor> {
    const row = await this.#checkpoint.readRows(name, 0, 1);
    const { shape } = this.#checkpoint.tensor(name);
    await this.#advance(name, shape);
    return this.#runner.upload(name, [shape[1]!], row);
  }

  /** What the matrix that these are the parts of is held in. Only linear layers and the token table are in blocks. */
  #dtypeOf(names: readonly string[]): PackedDtype {
    const parts = names.map((name) => ({ name, ...this.#checkpoint.tensor(name) }));
    const { dtype = "auto" } = this.#options;
    if (dtype === "auto") {
      const stored = new Set(parts.map(({ dtype }) => AS_STORED[dtype]));
      return stored.size === 1 ? [...stored][0]! : "f32";
    }
    // Layers of one stack are held alike.
    return isBlockDtype(dtype) ? heldForBlocks(parts[0]!.name, parts[0]!.shape, dtype) : dtype;
  }

  async #newFilled(name: string, dtype: Dtype): Promise<Tensor> {
    const tensor = this.#runner.zeros(name, this.#checkpoint.tensor(name).shape, dtype);
    await this.#fill(tensor, name);
    return tensor;
  }

  /** @param arrange of some rows, packed for the target, as the checkpoint has them: as the device does */
  async #fill(target: Tensor, name: string, arrange?: (packed: TensorData) => TensorData): Promise<void> {
    const [, ...rest] = this.#checkpoint.tensor(name).shape;
    for (const [from, to] of pieces(target.shape)) {
      const packed = await this.#checkpoint.readPacked(name, from, to, target.dtype as PackedDtype);
      this.#runner.write(rows(target, from, to), arrange ? arrange(packed) : packed);
      await this.#advance(name, [to - from, ...rest]);
    }
  }

  #storedBytes(name: string, shape: readonly number[]): number {
    return elementsOf(shape) * STORED_BYTES[this.#checkpoint.tensor(name).dtype];
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
      // Its failure is told by whoever waits for it, or else by the next call of the runner.
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
