import { CpuRunner } from "./cpu/cpu_runner.ts";
import { type ErrorCode, Florence2Error, quote } from "./errors.ts";
import { GpuRunner } from "./gpu/gpu_runner.ts";
import { compilesMatrixUnits, hasMatrixUnits } from "./gpu/matrix_units.ts";
import type { Feature } from "./kernel.ts";
import { webgpu } from "./platform.ts";
import type { Runner } from "./runner.ts";

/** A `GPUDevice`, by its shape: not every TypeScript knows the global name. */
export interface DeviceLike {
  readonly features: { has(name: string): boolean };
  readonly limits: object;
  readonly queue: object;
  readonly lost: Promise<unknown>;
  createShaderModule(descriptor: { readonly code: string }): object;
}

/**
 * Where to compute. `auto` takes a GPU, else the CPU engine; `gpu` any WebGPU adapter, also one that computes in
 * software, many times slower than the CPU engine; a `GPUDevice` is used and left alive.
 */
export type DeviceOption = "auto" | "gpu" | "cpu" | DeviceLike;

/** Why a GPU may be missing without anything being broken: `auto` then computes on the CPU. */
const NO_GPU: readonly ErrorCode[] = ["gpu_unavailable", "dependency_missing"];

/** Ours to WebGPU's names: the only place that knows both. */
const FEATURE_NAMES: Readonly<Record<Feature, GPUFeatureName>> = {
  f16: "shader-f16",
  subgroups: "subgroups" as GPUFeatureName,
  matrices: "chromium-experimental-subgroup-matrix" as GPUFeatureName,
  timestamps: "timestamp-query",
};

/** Limits that WebGPU guarantees on every device, and that every kernel may use. */
export const REQUIRED_LIMITS = {
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16_384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxStorageBufferBindingSize: 128 * 2 ** 20,
} as const;

/** Limits of which more is better: asked for as far as the adapter goes. */
export const WANTED_LIMITS = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxComputeWorkgroupStorageSize",
] as const;

export interface DeviceOptions {
  /** Called with a sentence when computing will be very slow. Default: `console.warn`. */
  readonly onWarning?: ((message: string) => void) | undefined;
  /** Threads of the CPU engine. Default: as many as this process may use processors, at most 16. */
  readonly threads?: number | undefined;
  /** Asks whether the CPU engine multiplies in 8 bits faster than in f32: `profile.i8`. */
  readonly asksForI8?: boolean | undefined;
  /** Fills fresh memory with NaN and watches the memory behind every tensor. For tests. */
  readonly debug?: boolean | undefined;
}

/**
 * Opens what will run the model.
 *
 * @throws {Florence2Error} `gpu_unavailable` when a GPU was demanded and there is none that will do;
 *   `option_invalid` for anything but the four choices; `cpu_failed` if the CPU engine does not start
 */
export async function openRunner(
  device: DeviceOption = "auto",
  options: DeviceOptions = {},
): Promise<Runner> {
  checkDevice(device, options.threads);
  if (device === "cpu") return openCpu(options);
  if (typeof device === "object") {
    const given = device as GPUDevice;
    const features = await compilableFeatures(given, featuresOf(given, given.adapterInfo));
    return new GpuRunner(given, { features, name: "a device of the caller", owned: false, ...options });
  }
  try {
    return await openGpu(options, device === "gpu");
  } catch (error) {
    const isMissing = error instanceof Florence2Error && NO_GPU.includes(error.code);
    if (device === "gpu" || !isMissing) throw error;
    return openCpu(options);
  }
}

/**
 * Checks what says where to compute, before anything is loaded.
 *
 * @throws {Florence2Error} `option_invalid`
 */
export function checkDevice(device: DeviceOption = "auto", threads?: number): void {
  if (!["auto", "gpu", "cpu"].includes(device as string) && !isDevice(device)) {
    const isAdapter = typeof (device as { requestDevice?: unknown } | null)?.requestDevice === "function";
    const hint = isAdapter ? ": give what the adapter's requestDevice() resolves to" : "";
    const message = `device is ${quote(device)}, expected "auto", "gpu", "cpu" or a GPUDevice${hint}`;
    throw new Florence2Error("option_invalid", message, { device });
  }
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1)) {
    const message = `threads is ${quote(threads)}, expected a whole number from 1 on`;
    throw new Florence2Error("option_invalid", message, { threads });
  }
}

function isDevice(device: unknown): device is DeviceLike {
  if (typeof device !== "object" || device === null) return false;
  const { features, limits, queue, lost, createShaderModule } = device as Partial<DeviceLike>;
  return [features?.has, limits, queue, lost, createShaderModule].every((part) => part !== undefined);
}

async function openCpu(options: DeviceOptions): Promise<CpuRunner> {
  const runner = await CpuRunner.open(options);
  if (!runner.engine) {
    (options.onWarning ?? console.warn)(
      "WebAssembly has no SIMD here: the kernels' plain twins compute, hundreds of times slower.",
    );
  }
  return runner;
}

/** @param software whether an adapter that computes on the CPU will do */
async function openGpu(options: DeviceOptions, software: boolean): Promise<GpuRunner> {
  const gpu = await webgpu();
  const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    throw new Florence2Error(
      "gpu_unavailable",
      gpu
        ? "WebGPU finds no adapter. On Linux install a Vulkan driver (Debian: mesa-vulkan-drivers, 25 or newer)."
        : "This runtime has no WebGPU.",
    );
  }
  if (adapter.info.isFallbackAdapter && !software) {
    const message =
      'The only WebGPU adapter computes in software. The CPU engine is faster; device "gpu" takes it.';
    throw new Florence2Error("gpu_unavailable", message);
  }
  for (const [name, needed] of Object.entries(REQUIRED_LIMITS)) {
    const found = adapter.limits[name as keyof typeof REQUIRED_LIMITS];
    if (found < needed) {
      throw new Florence2Error(
        "gpu_unavailable",
        `The adapter's ${name} is ${found}, at least ${needed} is needed.`,
        {
          limit: name,
          found,
          needed,
        },
      );
    }
  }
  const found = featuresOf(adapter, adapter.info);
  const wanted = {
    label: "florence2-webgpu",
    requiredFeatures: [...found].map((name) => FEATURE_NAMES[name]),
    requiredLimits: Object.fromEntries(WANTED_LIMITS.map((name) => [name, adapter.limits[name]])),
  };
  const device = await adapter.requestDevice(wanted).catch((cause: unknown) => {
    throw new Florence2Error("gpu_unavailable", `The adapter gives no device: ${cause}`, {}, cause);
  });
  const { vendor, architecture, description } = adapter.info;
  const name = description || [vendor, architecture].filter(Boolean).join(" ") || "a WebGPU adapter";
  const features = await compilableFeatures(device, found);
  return new GpuRunner(device, { features, name, owned: true, adapter, ...options });
}

function featuresOf({ features: found, limits }: GPUAdapter | GPUDevice, info: GPUAdapterInfo): Set<Feature> {
  const names = (Object.keys(FEATURE_NAMES) as (keyof typeof FEATURE_NAMES)[]).filter((name) =>
    found.has(FEATURE_NAMES[name]),
  );
  const features = new Set<Feature>(names);
  const canFeedUnits = features.has("f16") && features.has("subgroups");
  if (!canFeedUnits || !hasMatrixUnits(info, limits)) features.delete("matrices");
  return features;
}

/** Those of the features that the device's compiler takes as our shaders write for them. */
async function compilableFeatures(
  device: GPUDevice,
  features: ReadonlySet<Feature>,
): Promise<ReadonlySet<Feature>> {
  if (!features.has("matrices") || (await compilesMatrixUnits(device))) return features;
  return new Set([...features].filter((feature) => feature !== "matrices"));
}
