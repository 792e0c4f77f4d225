import { arch, platform, release } from "node:os";
import { CpuRunner } from "../../core/cpu/cpu_runner.ts";
import { openRunner, REQUIRED_LIMITS, WANTED_LIMITS } from "../../core/device.ts";
import { type ErrorCode, Florence2Error } from "../../core/errors.ts";
import { GpuRunner } from "../../core/gpu/gpu_runner.ts";
import type { Feature } from "../../core/kernel.ts";
import type { Runner } from "../../core/runner.ts";
import {
  type CachedRepository,
  cachedRepositories,
  damagedFiles,
} from "../../files/hub/cached_repositories.ts";
import { hubEnvironment } from "../../files/hub/environment.ts";
import type { OpenModelOptions } from "../../files/open_model_files.ts";
import { Florence2 } from "../../model/florence2.ts";
import type { RawImage } from "../../model/image/pixels.ts";
import { readModelFiles } from "../../model/loading/read_model_files.ts";
import { SHARED_EMBEDDING } from "../../model/weights/expected_tensors.ts";
import { loadWeights } from "../../model/weights/load_weights.ts";
import { version } from "../bundled.ts";
import { CheckedRunner, type KernelCheck } from "./checked_runner.ts";

/** Something that is not as it should be. With a problem the library is wrong or useless here; with a remark slow. */
export interface Finding {
  readonly kind: "problem" | "remark";
  readonly what: string;
  readonly remedy: string;
}

export interface DeviceReport {
  /** The adapter, or the CPU engine with its SIMD form and threads. */
  readonly name: string;
  readonly features: readonly Feature[];
  /** `needed` is the least that will do. */
  readonly limits: readonly { readonly name: string; readonly found: number; readonly needed?: number }[];
  /** Of the CPU engine. */
  readonly products?: ProductReport;
}

/** Matrix products of the CPU engine, all threads together. */
interface ProductReport {
  readonly gigaflopsPerSecond: number;
  /** 1e9 operations a second of those in 8 bits; 0 where they are not exact. */
  readonly gigaopsPerSecond: number;
  /** Whether dtype "q8" multiplies in 8 bits here. */
  readonly usesBytes: boolean;
}

export interface ModelReport {
  readonly source: string;
  readonly layout: string;
  /** How the file holds the weights, and how the device does. */
  readonly storedAs: string;
  readonly heldAs: string;
  /** Device memory at most, in bytes. */
  readonly peakBytes: number;
  /** The shaders or compiled kernels that served; none where twins compute. */
  readonly kernels: readonly KernelCheck[];
}

export interface Examination {
  readonly version: string;
  readonly runtime: string;
  readonly device: DeviceReport;
  readonly cache: {
    readonly folder: string;
    readonly isOffline: boolean;
    readonly repositories: readonly CachedRepository[];
  };
  /** Undefined where it could not be loaded or run. */
  readonly model?: ModelReport;
  readonly findings: readonly Finding[];
}

/** Looks at everything that the library stands on here; what fails becomes a finding. */
export async function examine(source: string, options: OpenModelOptions = {}): Promise<Examination> {
  const { cacheFolder, isOffline } = await hubEnvironment();
  const repositories = await cachedRepositories(cacheFolder);
  const isKept = repositories.some(({ id }) => id === source);
  const damaged = isKept ? await damagedFiles(cacheFolder, source) : [];
  const cache = { folder: cacheFolder, isOffline, repositories };
  const found = { version: version(), runtime: runtime(), cache };
  const findings = damaged.map(damagedDownload);
  const warnings: string[] = [];
  let runner: Runner;
  try {
    runner = await openRunner("auto", { onWarning: (what) => warnings.push(what), asksForI8: true });
  } catch (error) {
    return { ...found, device: NO_DEVICE, findings: [problem(error), ...findings] };
  }
  try {
    if (runner instanceof CpuRunner) {
      const remedy = runner.engine ? NO_THREADS : NO_SIMD;
      findings.unshift(
        ...warnings.map((what): Finding => ({ kind: "remark", what, remedy })),
        await whyNoGpu(),
      );
    }
    const device = runner instanceof GpuRunner ? describe(runner) : await describeCpu(runner as CpuRunner);
    const { model, findings: others } = await examineModel(source, runner, options);
    return { ...found, device, model, findings: [...findings, ...others] };
  } finally {
    runner.dispose();
  }
}

/** Loads a model, has it look at a made-up image, and compares what the device computes with the kernels' twins. */
export async function examineModel(
  source: string,
  runner: Runner,
  options: OpenModelOptions = {},
): Promise<{ model?: ModelReport; findings: Finding[] }> {
  const checked = new CheckedRunner(runner);
  try {
    const { config, imageConfig, tokenizer, checkpoint } = await readModelFiles(source, options);
    try {
      const weights = await loadWeights(checkpoint, config, checked);
      const findings = checked.damaged.map(damagedWeights);
      // Twins take their time: an image that is one window of tokens in the last stage.
      const side = config.vision.patchStride.reduce(
        (pixels, stride) => pixels * stride,
        config.vision.windowSize,
      );
      const width = Math.min(side, imageConfig.width);
      const height = Math.min(side, imageConfig.height);
      const isTwin = runner.kind === "cpu" && !(runner instanceof CpuRunner && runner.engine);
      const user = isTwin ? runner : checked;
      const model = new Florence2(config, { ...imageConfig, width, height }, tokenizer, user, weights);
      if (findings.length === 0)
        await model.run(madeUpImage(width, height), "<CAPTION>", { maxNewTokens: 4 });
      const { kernels } = checked;
      for (const { name, fault } of kernels)
        if (fault !== undefined) findings.push(wrongNumbers(name, fault));
      return {
        model: {
          source,
          layout: checkpoint.layout,
          storedAs: checkpoint.tensors.get(SHARED_EMBEDDING)!.dtype,
          heldAs: weights.text.encoder.embeddings.dtype,
          peakBytes: runner.memory.peakBytes,
          kernels,
        },
        findings,
      };
    } finally {
      await checkpoint.close();
    }
  } catch (error) {
    return { findings: [problem(error)] };
  }
}

async function describeCpu({ name, profile, engine }: CpuRunner): Promise<DeviceReport> {
  const speeds = await engine?.productSpeeds();
  const products = speeds && {
    gigaflopsPerSecond: speeds.f32,
    gigaopsPerSecond: speeds.i8,
    usesBytes: profile.i8 === "faster",
  };
  return { name, features: [], limits: [], products };
}

/** The reason why `auto` takes no GPU. */
async function whyNoGpu(): Promise<Finding> {
  try {
    const gpu = await openRunner("gpu");
    gpu.dispose();
    return SOFTWARE;
  } catch (error) {
    return { ...problem(error), kind: "remark" };
  }
}

function describe({ name, profile, device: { limits } }: GpuRunner): DeviceReport {
  const needed: Readonly<Record<string, number>> = REQUIRED_LIMITS;
  const names = new Set([...Object.keys(REQUIRED_LIMITS), ...WANTED_LIMITS]);
  return {
    name,
    features: [...profile.features],
    limits: [...names].map((limit) => ({
      name: limit,
      found: limits[limit as (typeof WANTED_LIMITS)[number]],
      needed: needed[limit],
    })),
  };
}

/** The runtime with its version, and the system that it runs on. */
export function runtime(): string {
  const { bun, deno, node } = process.versions;
  const name = deno ? `Deno ${deno}` : bun ? `Bun ${bun}` : `Node ${node}`;
  return `${name} on ${platform()} ${release()} ${arch()}`;
}

/** Noise, the same every time: edges and colours of every kind. */
function madeUpImage(width: number, height: number): RawImage {
  const value = (i: number) => (Math.imul(i, 0x9e3779b1) >>> 8) % 256;
  return {
    data: Uint8Array.from({ length: 3 * width * height }, (_, i) => value(i)),
    width,
    height,
    channels: 3,
  };
}

/* Faults and their remedies. */

const SOFTWARE: Finding = {
  kind: "remark",
  what: "The only WebGPU adapter is software: the CPU engine computes, which is faster.",
  remedy: "If this machine has a GPU, install its driver; in a container, hand the GPU to it.",
};

const NO_DEVICE: DeviceReport = { name: "none", features: [], limits: [] };

const NO_THREADS =
  "Let this process start threads: --allow-worker under Node's --permission, or a higher limit of processes.";
const NO_SIMD = "Take a runtime with WebAssembly SIMD: Node 20, Deno 2, Bun 1.1, or a browser from 2023 on.";

const DOWNLOAD_AGAIN = "The file is damaged or incomplete: download it again.";
const ONE_ORIGIN = "Take all files of the model from one repository and revision.";
const REPORT_BUG =
  'Update the driver of the GPU; if that does not help, report this with the output of florence2 doctor --json. { device: "cpu" } works meanwhile.';

/** Remedies of errors whose message has none. */
const REMEDIES: Partial<Record<ErrorCode, string>> = {
  dependency_missing: "Run npm install webgpu in your project; it is skipped by npm install --omit=optional.",
  gpu_unavailable:
    "If this machine has a GPU, install a driver with Vulkan, Metal or Direct3D 12 (in a container, hand the GPU to it). Until then the CPU engine computes.",
  gpu_lost: "Close other programs that use the GPU, and update its driver.",
  gpu_out_of_memory: "Close other programs that use the GPU, or take a smaller model.",
  gpu_invalid: REPORT_BUG,
  cpu_failed:
    "If the message names no remedy, start again; if that does not help, report this with the output of florence2 doctor --json.",
  cpu_out_of_memory: "Close other programs, or load the model with dtype f16 or q8.",
  shape_mismatch: REPORT_BUG,
  file_not_found:
    "A model is a folder with config.json, model.safetensors (or pytorch_model.bin), tokenizer.json (or vocab.json and merges.txt): put the missing file there, or give the id of a repository.",
  file_unreadable: DOWNLOAD_AGAIN,
  safetensors_invalid: DOWNLOAD_AGAIN,
  pytorch_invalid: DOWNLOAD_AGAIN,
  checkpoint_mismatch: ONE_ORIGIN,
  config_invalid: ONE_ORIGIN,
  tokenizer_invalid: ONE_ORIGIN,
  non_finite:
    "The weights are damaged or were trained badly: download them again, or take another checkpoint.",
};

function problem(error: unknown): Finding {
  if (!(error instanceof Florence2Error)) throw error;
  return { kind: "problem", what: error.message, remedy: REMEDIES[error.code] ?? "" };
}

function damagedDownload(path: string): Finding {
  const what = `${path} is not what was downloaded: its checksum is not its name.`;
  return { kind: "problem", what, remedy: "Delete it; the next start downloads it again." };
}

function damagedWeights(name: string): Finding {
  const what = `The weights ${name} have values that are NaN or infinite.`;
  return { kind: "problem", what, remedy: REMEDIES.non_finite! };
}

function wrongNumbers(kernel: string, fault: string): Finding {
  const what = `The kernel ${kernel} computes wrong numbers on this device, first in ${fault}.`;
  return { kind: "problem", what, remedy: REPORT_BUG };
}
