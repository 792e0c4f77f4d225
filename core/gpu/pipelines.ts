import { Florence2Error } from "../errors.ts";
import type { Feature } from "../kernel.ts";
import { readShippedText } from "../platform.ts";
import type { Dispatch } from "../recording.ts";
import type { Dtype } from "../tensor.ts";

export interface CompiledKernel {
  readonly pipeline: GPUComputePipeline;
  readonly tensorLayout: GPUBindGroupLayout;
  readonly paramsLayout: GPUBindGroupLayout;
}

const COMPUTE_STAGE = 4; // GPUShaderStage.COMPUTE, which Node has no global for

/** What a feature must be called at the head of a shader. */
const ENABLES: Partial<Record<Feature, string>> = {
  f16: "f16",
  subgroups: "subgroups",
  matrices: "chromium_experimental_subgroup_matrix",
};

/**
 * Compiled kernels of one device, shared by all models on it. One key: shader, what its weights are stored as,
 * and constants.
 */
export class PipelineCache {
  static readonly #caches = new WeakMap<GPUDevice, PipelineCache>();
  readonly #device: GPUDevice;
  readonly #compiled = new Map<string, Promise<CompiledKernel>>();
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
      ...Object.entries(variant.tile ?? {}).map(([name, size]) => `${name}=${size}`),
      ...Object.entries(formatsOf(dispatch)).map(([name, format]) => `${name}:${format}`),
      ...Object.keys(kernel.constants).map((name) => `${name}=${constants[name]}`),
    ];
    const label = [`${kernel.name}/${variant.label}`, ...values].join(" ");
    // A source may serve several variants, and names of kernels are not unique.
    const key = `${variant.source.href} ${label}`;
    let compiled = this.#compiled.get(key);
    if (!compiled) {
      compiled = this.#compile(label, dispatch);
      this.#compiled.set(key, compiled);
      compiled.catch(() => this.#compiled.delete(key));
    }
    return compiled;
  }

  async #compile(label: string, dispatch: Dispatch): Promise<CompiledKernel> {
    const { kernel, constants } = dispatch;
    const code = await shaderText(dispatch);
    const tensorLayout = this.#device.createBindGroupLayout({
      label,
      entries: Object.values(kernel.bindings).map(({ access }, binding) => ({
        binding,
        visibility: COMPUTE_STAGE,
        buffer: { type: access === "read" ? "read-only-storage" : "storage" },
      })),
    });
    // What is wrong with the module comes with the pipeline's failure; here it would come unasked.
    this.#device.pushErrorScope("validation");
    const module = this.#device.createShaderModule({ label, code });
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
      throw await compileError(label, module, code, cause);
    }
  }
}

/** The whole source of a call: what it enables, the sizes of its tile, how weights are read, the variant's functions, its file. */
export async function shaderText(dispatch: Dispatch): Promise<string> {
  const { kernel, variant } = dispatch;
  const enables = (variant.needs ?? []).flatMap((feature) => ENABLES[feature] ?? []);
  const weights = await Promise.all(
    Object.entries(formatsOf(dispatch)).map(async ([name, format]) =>
      readingOf(name, await cachedText(kernel.bindings[name]!.formats![format]!)),
    ),
  );
  const sizes = Object.entries(variant.tile ?? {}).map(([name, size]) => `const ${name} = ${size}u;`);
  const files = await Promise.all([...(variant.includes ?? []), variant.source].map(cachedText));
  return [...enables.map((name) => `enable ${name};`), ...sizes, ...weights, ...files].join("\n");
}

/** What the tensors of a call that hold weights store them as, by binding. */
function formatsOf({ kernel, tensors }: Dispatch): Readonly<Record<string, Dtype>> {
  const bindings = Object.entries(kernel.bindings);
  return Object.fromEntries(
    bindings.flatMap(([name, { formats }], i) => (formats ? [[name, tensors[i]!.dtype]] : [])),
  );
}

/** Files that read weights call their binding `weight`: here with the name that a kernel has for it. */
function readingOf(name: string, text: string): string {
  return text.replaceAll(/\b(stored_|four_of_|one_of_)?weight\b/g, `$1${name}`);
}

const texts = new Map<string, Promise<string>>();

function cachedText(url: URL): Promise<string> {
  let text = texts.get(url.href);
  if (!text) {
    text = readShippedText(url);
    texts.set(url.href, text);
    text.catch(() => texts.delete(url.href));
  }
  return text;
}

async function compileError(label: string, module: GPUShaderModule, code: string, cause: unknown) {
  const lines = code.split("\n");
  const { messages } = await module.getCompilationInfo();
  const reports = messages
    .filter(({ type }) => type === "error")
    .map(
      ({ lineNum, linePos, message }) => `${lineNum}:${linePos} ${message}\n    ${lines[lineNum - 1] ?? ""}`,
    );
  const reason =
    reports.length > 0 ? reports.join("\n") : cause instanceof Error ? cause.message : String(cause);
  return new Florence2Error(
    "gpu_invalid",
    `${label} does not compile:\n${reason}`,
    { pipeline: label },
    cause,
  );
}
