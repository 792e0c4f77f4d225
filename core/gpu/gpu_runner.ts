import { Florence2Error } from "../errors.ts";
import type { Feature } from "../kernel.ts";
import { planMemory } from "../plan.ts";
import type { DeviceProfile, Dispatch, Recording } from "../recording.ts";
import type { Program, Runner } from "../runner.ts";
import {
  BYTES_PER_ELEMENT,
  byteOffsetOf,
  bytesOf,
  type Dtype,
  newTensor,
  type Storage,
  type Tensor,
  type TensorData,
} from "../tensor.ts";
import { DeviceErrors } from "./device_errors.ts";
import { packParams, paramsBytes } from "./params.ts";
import { type CompiledKernel, PipelineCache } from "./pipelines.ts";

// GPUBufferUsage and GPUMapMode, which Node has no globals for.
const USAGE = { MAP_READ: 0x1, COPY_SRC: 0x4, COPY_DST: 0x8, UNIFORM: 0x40, STORAGE: 0x80 } as const;
const MAP_MODE_READ = 1;

/** Smallest read-back buffer, in bytes: one step and eight steps then reuse the same buffer. */
const STAGING_BYTES = 64 * 2 ** 10;

/** Debug runs watch this many words behind every tensor for writes past its end. */
const GUARD_WORDS = 64;
/** A quiet NaN that no arithmetic produces. Debug runs fill memory with it and find elements that were not written. */
const POISON = 0x7fc0_dead;

interface GpuRunnerOptions {
  readonly name: string;
  readonly features: ReadonlySet<Feature>;
  /** Whether `dispose` ends the device; not so for a caller's. */
  readonly owned: boolean;
  /** Kept alive as long as the device: Dawn needs it. */
  readonly adapter?: GPUAdapter;
  readonly debug?: boolean;
}

/**
 * Runs recordings on a WebGPU device: the only file that makes buffers, bind groups and command
 * encoders. Device errors reject the call in flight, or else the next one.
 */
export class GpuRunner implements Runner {
  readonly kind = "gpu";
  readonly name: string;
  readonly profile: DeviceProfile;
  readonly device: GPUDevice;
  readonly adapter: GPUAdapter | undefined;
  readonly #owned: boolean;
  readonly #debug: boolean;
  readonly #buffers = new Map<Storage, GPUBuffer>();
  readonly #programs = new Set<Program>();
  #staging: GPUBuffer | undefined;
  readonly #errors: DeviceErrors;
  #disposed = false;
  #bytes = 0;
  #peakBytes = 0;

  constructor(device: GPUDevice, options: GpuRunnerOptions) {
    this.device = device;
    this.adapter = options.adapter;
    this.name = options.name;
    const maxBindingBytes = device.limits.maxStorageBufferBindingSize;
    this.profile = { features: options.features, maxBindingBytes };
    this.#owned = options.owned;
    this.#debug = options.debug ?? false;
    this.#errors = new DeviceErrors(device);
  }

  get memory() {
    return { bytes: this.#bytes, peakBytes: this.#peakBytes };
  }

  zeros(label: string, shape: readonly number[], dtype: Dtype = "f32"): Tensor {
    this.#checkUsable();
    const tensor = newTensor(label, shape, dtype, "owned");
    this.#buffers.set(tensor.storage, this.#newBlock(label, tensor.storage.words));
    return tensor;
  }

  upload(label: string, shape: readonly number[], data: TensorData): Tensor {
    const tensor = this.zeros(label, shape, data instanceof Uint32Array ? "u32" : "f32");
    this.write(tensor, data);
    return tensor;
  }

  write(tensor: Tensor, data: TensorData): void {
    this.#checkUsable();
    if (data.byteLength !== bytesOf(tensor)) {
      throw new Florence2Error(
        "shape_mismatch",
        `${tensor.storage.label}: ${data.byteLength} bytes for shape [${tensor.shape}] of ${tensor.dtype}`,
      );
    }
    const offset = byteOffsetOf(tensor);
    this.#errors.guard(`writing ${tensor.storage.label}`, () =>
      this.device.queue.writeBuffer(
        this.#bufferOf(tensor),
        offset,
        data.buffer as ArrayBuffer,
        data.byteOffset,
        data.byteLength,
      ),
    );
  }

  copy(from: Tensor, to: Tensor): void {
    this.#checkUsable();
    this.#errors.guard(`copying ${from.storage.label}`, () => {
      const encoder = this.device.createCommandEncoder();
      const [source, target] = [this.#bufferOf(from), this.#bufferOf(to)];
      encoder.copyBufferToBuffer(source, byteOffsetOf(from), target, byteOffsetOf(to), bytesOf(from));
      this.device.queue.submit([encoder.finish()]);
    });
  }

  async read(tensor: Tensor): Promise<TensorData> {
    const bytes = await this.#readBytes(this.#bufferOf(tensor), byteOffsetOf(tensor), bytesOf(tensor));
    return tensor.dtype === "f32" ? new Float32Array(bytes) : new Uint32Array(bytes);
  }

  free(tensor: Tensor): void {
    const buffer = this.#buffers.get(tensor.storage);
    if (buffer) this.#destroy(buffer);
    this.#buffers.delete(tensor.storage);
  }

  async settle(): Promise<void> {
    this.#checkUsable();
    await this.device.queue.onSubmittedWorkDone();
    await this.#errors.settle();
  }

  async compile(recording: Recording): Promise<void> {
    this.#checkUsable();
    await this.#pipelinesOf(recording);
  }

  async prepare(recording: Recording): Promise<Program> {
    this.#checkUsable();
    const compiled = await this.#pipelinesOf(recording);
    this.#checkUsable();

    const plan = planMemory(recording);
    const blocks = plan.blocks.map((words, i) => this.#newBlock(`block ${i}`, words));
    for (const [storage, block] of plan.blockOf) this.#buffers.set(storage, blocks[block]!);

    const { arena, offsets } = this.#uploadParams(recording.dispatches);
    const bound = this.#errors.guard("binding", () =>
      recording.dispatches.map((dispatch, i) => {
        const { pipeline, tensorLayout, paramsLayout } = compiled[i]!;
        const { kernel, variant, tensors, params, constants } = dispatch;
        const counter = recording.counterOf(dispatch);
        return {
          pipeline,
          groups: variant.groups(params, constants),
          offset: offsets[i]!,
          tensors: this.device.createBindGroup({
            label: kernel.name,
            layout: tensorLayout,
            entries: tensors.map((tensor, binding) => ({ binding, resource: this.#bindingOf(tensor) })),
          }),
          params: this.device.createBindGroup({
            label: `${kernel.name} params`,
            layout: paramsLayout,
            entries: [
              { binding: 0, resource: { buffer: arena, size: paramsBytes(dispatch) } },
              {
                binding: 1,
                resource: { buffer: counter ? this.#bufferOf(counter) : arena, size: BYTES_PER_ELEMENT },
              },
            ],
          }),
        };
      }),
    );
    await this.#errors.settle();

    const program: Program = {
      run: async (signal, times = 1) => {
        signal?.throwIfAborted();
        this.#checkUsable();
        if (this.#debug) this.#poison(recording, blocks);
        this.#errors.guard("running a recording", () => {
          const encoder = this.device.createCommandEncoder();
          const pass = encoder.beginComputePass();
          for (let time = 0; time < times; time++) {
            for (const { pipeline, tensors, params, offset, groups } of bound) {
              pass.setPipeline(pipeline);
              pass.setBindGroup(0, tensors);
              pass.setBindGroup(1, params, [offset]);
              pass.dispatchWorkgroups(...groups);
            }
          }
          pass.end();
          this.device.queue.submit([encoder.finish()]);
        });
        await this.#errors.settle();
        if (this.#debug) await this.#checkGuards(recording);
      },
      dispose: () => {
        if (!this.#programs.delete(program)) return;
        for (const buffer of [...blocks, arena]) this.#destroy(buffer);
        for (const storage of plan.blockOf.keys()) this.#buffers.delete(storage);
      },
    };
    this.#programs.add(program);
    return program;
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    const done = [this.#errors.dispose(), this.device.queue.onSubmittedWorkDone()];
    for (const program of this.#programs) program.dispose();
    for (const buffer of this.#buffers.values()) this.#destroy(buffer);
    this.#buffers.clear();
    if (this.#staging) this.#destroy(this.#staging);
    if (this.#owned) this.device.destroy();
    await Promise.allSettled(done);
  }

  #pipelinesOf({ dispatches }: Recording): Promise<CompiledKernel[]> {
    const pipelines = PipelineCache.of(this.device);
    return Promise.all(dispatches.map((dispatch) => pipelines.get(dispatch)));
  }

  #newBlock(label: string, words: number): GPUBuffer {
    const size = (words + (this.#debug ? GUARD_WORDS : 0)) * BYTES_PER_ELEMENT;
    // As a uniform, because a recording's counter is read as one.
    const usage = USAGE.STORAGE | USAGE.UNIFORM | USAGE.COPY_SRC | USAGE.COPY_DST;
    return this.#newBuffer(label, size, usage);
  }

  #newBuffer(label: string, size: number, usage: number): GPUBuffer {
    const buffer = this.#errors.guard(`allocating ${size} bytes for ${label}`, () =>
      this.device.createBuffer({ label, size: Math.max(size, BYTES_PER_ELEMENT), usage }),
    );
    this.#bytes += buffer.size;
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytes);
    return buffer;
  }

  #destroy(buffer: GPUBuffer): void {
    this.#bytes -= buffer.size;
    buffer.destroy();
  }

  #bufferOf(tensor: Tensor): GPUBuffer {
    const buffer = this.#buffers.get(tensor.storage);
    if (!buffer) throw new Florence2Error("disposed", `${tensor.storage.label}: this tensor was freed`);
    return buffer;
  }

  #bindingOf(tensor: Tensor): GPUBufferBinding {
    const buffer = this.#bufferOf(tensor);
    const offset = byteOffsetOf(tensor);
    // In debug runs a shader can reach the guard words, else writes past the end would go unseen.
    const size = this.#debug ? Math.min(buffer.size - offset, this.profile.maxBindingBytes) : bytesOf(tensor);
    return { buffer, offset, size };
  }

  #uploadParams(dispatches: readonly Dispatch[]): { arena: GPUBuffer; offsets: readonly number[] } {
    const { data, offsets } = packParams(dispatches, this.device.limits.minUniformBufferOffsetAlignment);
    const arena = this.#newBuffer("params", data.byteLength, USAGE.UNIFORM | USAGE.COPY_DST);
    this.#errors.guard("writing params", () => this.device.queue.writeBuffer(arena, 0, data));
    return { arena, offsets };
  }

  async #readBytes(source: GPUBuffer, offset: number, bytes: number): Promise<ArrayBuffer> {
    this.#checkUsable();
    if (!this.#staging || this.#staging.size < bytes || this.#staging.mapState !== "unmapped") {
      if (this.#staging?.mapState === "unmapped") this.#destroy(this.#staging);
      const size = Math.max(bytes, STAGING_BYTES);
      this.#staging = this.#newBuffer("read-back", size, USAGE.MAP_READ | USAGE.COPY_DST);
    }
    const staging = this.#staging;
    this.#errors.guard("reading back", () => {
      const encoder = this.device.createCommandEncoder();
      encoder.copyBufferToBuffer(source, offset, staging, 0, bytes);
      this.device.queue.submit([encoder.finish()]);
    });
    try {
      await staging.mapAsync(MAP_MODE_READ, 0, bytes);
    } catch (cause) {
      await this.#errors.settle();
      this.#checkUsable();
      throw new Florence2Error("gpu_lost", "The GPU gave no result back", {}, cause);
    }
    const content = staging.getMappedRange(0, bytes).slice(0);
    staging.unmap();
    await this.#errors.settle();
    return content;
  }

  #checkUsable(): void {
    if (this.#disposed) throw new Florence2Error("disposed", "this runner was disposed");
    this.#errors.throwIfAny();
  }

  #poison(recording: Recording, blocks: readonly GPUBuffer[]): void {
    for (const block of blocks) {
      this.device.queue.writeBuffer(block, 0, new Uint32Array(block.size / BYTES_PER_ELEMENT).fill(POISON));
    }
    for (const storage of boundStorages(recording)) {
      if (storage.lifetime === "owned")
        this.device.queue.writeBuffer(
          this.#buffers.get(storage)!,
          storage.words * BYTES_PER_ELEMENT,
          guardWords(),
        );
    }
  }

  async #checkGuards(recording: Recording): Promise<void> {
    for (const storage of boundStorages(recording)) {
      const buffer = this.#buffers.get(storage)!;
      const guardBytes = GUARD_WORDS * BYTES_PER_ELEMENT;
      const guard = new Uint32Array(await this.#readBytes(buffer, buffer.size - guardBytes, guardBytes));
      const broken = guard.findIndex((word) => word !== POISON);
      if (broken >= 0) {
        throw new Florence2Error(
          "gpu_invalid",
          `${storage.label || "a temporary"}: written ${broken + 1} words past its memory`,
        );
      }
    }
  }
}

function boundStorages(recording: Recording): Set<Storage> {
  return new Set(recording.dispatches.flatMap(({ tensors }) => tensors.map(({ storage }) => storage)));
}

const guardWords = () => new Uint32Array(GUARD_WORDS).fill(POISON);
