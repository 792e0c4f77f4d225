import { GpuRunner } from "../core/gpu/gpu_runner.ts";
import type { Runner } from "../core/runner.ts";

/** What was asked of a device between `begin` and `end`, and what that took. */
export interface Activity {
  readonly dispatches: number;
  readonly submits: number;
  /** Buffers mapped to be read. */
  readonly readbacks: number;
  /** Buffers, bind groups, pipelines, shaders and layouts that were created. */
  readonly objects: number;
  /** Milliseconds in compute passes, by the device's own clock; null where it has none to ask. */
  readonly gpuMs: number | null;
  /** Milliseconds of the main thread, its waits for the device left out. */
  readonly hostMs: number;
  /** The most device memory in buffers at a time, in bytes. */
  readonly peakBytes: number;
}

/** Tells what happens between `begin` and `end`. */
export interface Observer {
  begin(): void;
  /** What was given to the device has to be done. */
  end(): Promise<Activity>;
}

/** The time of one call, or of a pass of many. */
export interface PassTime {
  /** The pipeline's label in a watch of each call, else empty. */
  readonly pipeline: string;
  readonly ms: number;
}

const NOTHING = { dispatches: 0, submits: 0, readbacks: 0, objects: 0 };
type Counts = typeof NOTHING;

const OBJECTS = [
  "createBindGroup",
  "createBindGroupLayout",
  "createBuffer",
  "createComputePipelineAsync",
  "createPipelineLayout",
  "createShaderModule",
] as const;

/** Two timestamps a pass, in the largest query set of WebGPU. */
const MAX_PASSES = 2048;
const TIMESTAMP_BYTES = 8;
// GPUBufferUsage and GPUMapMode, which Node has no globals for.
const USAGE = { MAP_READ: 0x1, COPY_SRC: 0x4, COPY_DST: 0x8, QUERY_RESOLVE: 0x200 } as const;
const MAP_MODE_READ = 1;

const thread = process as { readonly threadCpuUsage?: () => NodeJS.CpuUsage };
/** What `hostMs` counts: Node tells a thread's own CPU time from 23.9 on. */
export const HOST_CLOCK = thread.threadCpuUsage ? "CPU time" : "wall time";

/** Milliseconds of `HOST_CLOCK`. */
export function hostClock(): number {
  const usage = thread.threadCpuUsage?.();
  return usage ? (usage.user + usage.system) / 1000 : performance.now();
}

/**
 * Counts what is done with a device, by standing in for its methods: the library itself has no counters.
 * Every compute pass is given timestamps; to watch each call, every call is made a pass.
 */
export class Watch implements Observer {
  readonly #device: GPUDevice;
  readonly #queries:
    | { readonly set: GPUQuerySet; readonly resolved: GPUBuffer; readonly staging: GPUBuffer }
    | undefined;
  #counts: Counts = { ...NOTHING };
  /** Labels of the pipelines of passes of one call; empty for passes of many. */
  #passes: string[] = [];
  #bytes = 0;
  #peakBytes = 0;
  #startMs = 0;
  #waitedMs = 0;

  constructor(device: GPUDevice, { eachCall = false } = {}) {
    this.#device = device;
    if (device.features.has("timestamp-query")) {
      const size = 2 * MAX_PASSES * TIMESTAMP_BYTES;
      this.#queries = {
        set: device.createQuerySet({ type: "timestamp", count: 2 * MAX_PASSES }),
        resolved: device.createBuffer({ size, usage: USAGE.QUERY_RESOLVE | USAGE.COPY_SRC }),
        staging: device.createBuffer({ size, usage: USAGE.MAP_READ | USAGE.COPY_DST }),
      };
    }
    for (const method of OBJECTS) this.#count(device, method, "objects");
    replace(device, "createBuffer", (create) => (descriptor) => this.#watchBuffer(create(descriptor)));
    replace(device, "createCommandEncoder", (create) => (descriptor) => {
      const encoder = create(descriptor);
      replace(encoder, "beginComputePass", (begin) => (options) => {
        const beginTimed = (pipeline = "") =>
          begin({ ...options, timestampWrites: this.#nextTimestamps(pipeline) });
        const pass = eachCall ? passOfEachCall(beginTimed) : beginTimed();
        this.#count(pass, "dispatchWorkgroups", "dispatches");
        return pass;
      });
      return encoder;
    });
    this.#count(device.queue, "submit", "submits");
    replace(device.queue, "onSubmittedWorkDone", (done) => () => this.#waitFor(done()));
  }

  begin(): void {
    this.#counts = { ...NOTHING };
    this.#passes = [];
    this.#peakBytes = this.#bytes;
    this.#waitedMs = 0;
    this.#startMs = hostClock();
  }

  /** What happened since `begin`. What the device was given has to be done. */
  async end(): Promise<Activity> {
    const hostMs = hostClock() - this.#startMs - this.#waitedMs;
    const counts = { ...this.#counts, peakBytes: this.#peakBytes };
    const times = await this.passTimes();
    const gpuMs = times === null ? null : times.reduce((sum, { ms }) => sum + ms, 0);
    return { ...counts, gpuMs, hostMs };
  }

  #count<T extends object, K extends keyof T>(object: T, method: K, as: keyof Counts): void {
    replace(object, method, (call) => {
      const counted = (...args: never[]) => {
        this.#counts[as]++;
        return (call as Callable)(...args);
      };
      return counted as T[K];
    });
  }

  #watchBuffer(buffer: GPUBuffer): GPUBuffer {
    this.#bytes += buffer.size;
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytes);
    replace(buffer, "destroy", (destroy) => () => {
      this.#bytes -= buffer.size;
      destroy();
    });
    replace(buffer, "mapAsync", (map) => (...range) => {
      this.#counts.readbacks++;
      return this.#waitFor(map(...range));
    });
    return buffer;
  }

  async #waitFor<R>(done: Promise<R>): Promise<R> {
    const start = hostClock();
    try {
      return await done;
    } finally {
      this.#waitedMs += hostClock() - start;
    }
  }

  #nextTimestamps(pipeline: string): GPUComputePassTimestampWrites | undefined {
    const place = 2 * this.#passes.length;
    this.#passes.push(pipeline);
    if (!this.#queries || this.#passes.length > MAX_PASSES) return undefined;
    return {
      querySet: this.#queries.set,
      beginningOfPassWriteIndex: place,
      endOfPassWriteIndex: place + 1,
    };
  }

  /** The passes since `begin`, in order; null where the device has no clock to ask. What it was given has to be done. */
  async passTimes(): Promise<PassTime[] | null> {
    if (!this.#queries) return null;
    const count = this.#passes.length;
    if (count > MAX_PASSES) throw new Error(`${count} passes were run, at most ${MAX_PASSES} can be timed`);
    if (count === 0) return [];
    const { set, resolved, staging } = this.#queries;
    const bytes = 2 * count * TIMESTAMP_BYTES;
    const encoder = this.#device.createCommandEncoder();
    encoder.resolveQuerySet(set, 0, 2 * count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, bytes);
    this.#device.queue.submit([encoder.finish()]);
    await staging.mapAsync(MAP_MODE_READ, 0, bytes);
    const times = new BigInt64Array(staging.getMappedRange(0, bytes).slice(0));
    staging.unmap();
    return this.#passes.map((pipeline, i) => ({
      pipeline,
      ms: Number(times[2 * i + 1]! - times[2 * i]!) / 1e6,
    }));
  }
}

/** An observer of a runner that is no WebGPU device: it knows the time of the main thread, and the memory. */
class HostWatch implements Observer {
  readonly #runner: Pick<Runner, "memory">;
  #startMs = 0;

  constructor(runner: Pick<Runner, "memory">) {
    this.#runner = runner;
  }

  begin(): void {
    this.#startMs = hostClock();
  }

  async end(): Promise<Activity> {
    const hostMs = hostClock() - this.#startMs;
    return { ...NOTHING, gpuMs: null, hostMs, peakBytes: this.#runner.memory.peakBytes };
  }
}

/** What can be told of a runner. */
export const observerOf = (runner: Runner): Observer =>
  runner instanceof GpuRunner ? new Watch(runner.device) : new HostWatch(runner);

/** Stands in for a pass: each of its calls becomes a pass of its own. */
function passOfEachCall(begin: (pipeline: string) => GPUComputePassEncoder): GPUComputePassEncoder {
  let pipeline: GPUComputePipeline;
  const groups = new Map<number, readonly unknown[]>();
  const standIn: Pick<GPUComputePassEncoder, "setPipeline" | "setBindGroup" | "dispatchWorkgroups" | "end"> =
    {
      setPipeline: (next) => {
        pipeline = next;
      },
      setBindGroup: (...group: readonly unknown[]) => {
        groups.set(group[0] as number, group);
      },
      dispatchWorkgroups: (...counts) => {
        const pass = begin(pipeline.label);
        pass.setPipeline(pipeline);
        for (const group of groups.values()) (pass.setBindGroup as Callable)(...(group as never[]));
        pass.dispatchWorkgroups(...counts);
        pass.end();
      },
      end: () => {},
    };
  return standIn as GPUComputePassEncoder;
}

type Callable = (...args: never[]) => unknown;

/** Puts another function in the place of a method of this one object. */
function replace<T extends object, K extends keyof T>(
  object: T,
  method: K,
  wrap: (call: T[K]) => T[K],
): void {
  object[method] = wrap((object[method] as Callable).bind(object) as T[K]);
}
