import { Florence2Error, messageOf } from "../errors.ts";
import type { Variant } from "../kernel.ts";
import type { Dispatch } from "../recording.ts";
import type { Shader } from "../shaders.ts";
import { formatsOf, joined, locate, shaderParts } from "./shader_text.ts";

export interface CompiledKernel {
  readonly pipeline: GPUComputePipeline;
  readonly tensorLayout: GPUBindGroupLayout;
  readonly paramsLayout: GPUBindGroupLayout;
}

const COMPUTE_STAGE = 4; // GPUShaderStage.COMPUTE, which Node has no global for

/**
 * Compiled kernels of one device, shared by all models on it. One key: variant, what its weights are stored as,
 * and constants.
 */
export class PipelineCache {
  static readonly #caches = new WeakMap<GPUDevice, PipelineCache>();
  readonly #device: GPUDevice;
  readonly #compiled = new Map<Variant, Map<string, Promise<CompiledKernel>>>();
  readonly #paramsLayout: GPUBindGroupLayout;

  static of(device: GPUDevice): PipelineCache {
    const cache = PipelineCache.#caches.get(device) ?? new PipelineCache(device);
    PipelineCache.#caches.set(device, cache);
    return cache;
  }

  private constructor(device: GPUDevice) {
    this.#device = device;
    this.#paramsLayout = device.createBindGroupLayout({
      label: "params",
      entries: [
        { binding: 0, visibility: COMPUTE_STAGE, buffer: { type: "uniform", hasDynamicOffset: true } },
        { binding: 1, visibility: COMPUTE_STAGE, buffer: { type: "uniform" } },
      ],
    });
  }

  /** Compiles at most once for each key, however many ask at the same time. */
  get(dispatch: Dispatch): Promise<CompiledKernel> {
    const { kernel, variant, constants } = dispatch;
    const values = [
      ...Object.entries(variant.constants ?? {}).map(([name, value]) => `${name}=${value}`),
      ...Object.entries(formatsOf(dispatch)).map(([name, format]) => `${name}:${format}`),
      ...Object.keys(kernel.constants).map((name) => `${name}=${constants[name]}`),
    ];
    const label = [`${kernel.name}/${variant.label}`, ...values].join(" ");
    const ofVariant = this.#compiled.get(variant) ?? new Map<string, Promise<CompiledKernel>>();
    this.#compiled.set(variant, ofVariant);
    let compiled = ofVariant.get(label);
    if (!compiled) {
      compiled = this.#compile(label, dispatch);
      ofVariant.set(label, compiled);
      compiled.catch(() => ofVariant.delete(label));
    }
    return compiled;
  }

  async #compile(label: string, dispatch: Dispatch): Promise<CompiledKernel> {
    const { kernel, constants } = dispatch;
    const parts = shaderParts(dispatch);
    const tensorLayout = this.#device.createBindGroupLayout({
      label,
      entries: Object.values(kernel.bindings).map(({ access }, binding) => ({
        binding,
        visibility: COMPUTE_STAGE,
        buffer: { type: access === "read" ? "read-only-storage" : "storage" },
      })),
    });
    // The pipeline's failure reports errors of the module. This scope keeps them from being reported twice.
    this.#device.pushErrorScope("validation");
    const module = this.#device.createShaderModule({ label, code: joined(parts) });
    this.#device.popErrorScope().catch(() => {});
    try {
      const pipeline = await this.#device.createComputePipelineAsync({
        label,
        layout: this.#device.createPipelineLayout({
          label,
          bindGroupLayouts: [tensorLayout, this.#paramsLayout],
        }),
        compute: { module, entryPoint: "main", constants },
      });
      return { pipeline, tensorLayout, paramsLayout: this.#paramsLayout };
    } catch (cause) {
      throw await compileError(label, module, parts, cause);
    }
  }
}

async function compileError(
  label: string,
  module: GPUShaderModule,
  parts: readonly Shader[],
  cause: unknown,
) {
  const { messages } = await module.getCompilationInfo();
  const reports = messages
    .filter(({ type }) => type === "error")
    .map(({ lineNum, linePos, message }) => {
      const { file, line, text } = locate(parts, lineNum);
      return `${file}:${line}:${linePos} ${message}\n    ${text}`;
    });
  const reason = reports.length > 0 ? reports.join("\n") : messageOf(cause);
  return new Florence2Error(
    "gpu_invalid",
    `${label} does not compile:\n${reason}`,
    { pipeline: label },
    cause,
  );
}
