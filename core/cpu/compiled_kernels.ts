import { Florence2Error, messageOf } from "../errors.ts";
import type { Kernel, Numbers } from "../kernel.ts";
import { allowRelaxedSimd } from "../platform.ts";
import type { CompiledCall } from "./protocol.ts";

/** With relaxed SIMD, which has fused multiply-add and products of 8 bits, or without. */
export type SimdForm = "relaxed SIMD" | "SIMD";
const FORMS: readonly SimdForm[] = ["relaxed SIMD", "SIMD"];

/** The kernels as WebAssembly, for one memory. */
export interface CompiledKernels {
  readonly form: SimdForm;
  readonly module: WebAssembly.Module;
}

/**
 * Compiles the best form of the kernels that this runtime takes; `undefined` if it has no SIMD.
 *
 * @param shared whether the memory that they work on is shared between threads
 * @param forms those that may be taken, the best first; for tests
 * @throws {Florence2Error} `cpu_failed` if the module does not compile
 */
export async function compileKernels(shared: boolean, forms = FORMS): Promise<CompiledKernels | undefined> {
  const { relaxed, simd } = await import("./compiled.js");
  for (const form of forms) {
    const bytes = bytesOf(form === "SIMD" ? simd : relaxed);
    if (!shared) importUnshared(bytes);
    if (await validates(bytes, form)) return { form, module: await compile(bytes) };
  }
  return undefined;
}

export async function compile(bytes: Uint8Array<ArrayBuffer>): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes);
  } catch (cause) {
    throw new Florence2Error(
      "cpu_failed",
      `The kernels of the CPU engine cannot be compiled: ${messageOf(cause).replace(/\.$/, "")}. A page's Content-Security-Policy has to allow 'wasm-unsafe-eval'.`,
      {},
      cause,
    );
  }
}

/** @throws {Florence2Error} `cpu_failed` */
export async function instantiate(
  { module }: CompiledKernels,
  memory: WebAssembly.Memory,
): Promise<WebAssembly.Instance> {
  try {
    return await WebAssembly.instantiate(module, { env: { memory } });
  } catch (cause) {
    const message = `The kernels of the CPU engine cannot be started: ${messageOf(cause)}`;
    throw new Florence2Error("cpu_failed", message, {}, cause);
  }
}

async function validates(bytes: Uint8Array<ArrayBuffer>, form: SimdForm): Promise<boolean> {
  if (form === "SIMD" || WebAssembly.validate(bytes)) return WebAssembly.validate(bytes);
  await allowRelaxedSimd();
  return WebAssembly.validate(bytes);
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** The import of env.memory in the binary format: the two names, the kind, and the flags of its limits. */
const MEMORY_IMPORT = [3, ...codes("env"), 6, ...codes("memory"), 2];
const SHARED_WITH_MAXIMUM = 3;
const MAXIMUM = 1;

/** Has a module import a memory of one thread. */
function importUnshared(bytes: Uint8Array): void {
  const at = bytes.findIndex(
    (_, i) =>
      MEMORY_IMPORT.every((code, j) => bytes[i + j] === code) &&
      bytes[i + MEMORY_IMPORT.length] === SHARED_WITH_MAXIMUM,
  );
  bytes[at + MEMORY_IMPORT.length] = MAXIMUM;
}

function codes(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}

/** Arguments of a kernel's call, as numbers. */
interface CallArguments {
  /** In the order of the bindings. */
  readonly pointers: readonly number[];
  /** How each binding that holds weights stores them. */
  readonly formats: readonly number[];
  readonly params: Numbers;
  readonly constants: Numbers;
  /** The address of the word that must not be 0; 0 if the call always works. */
  readonly counter: number;
}

/** What the exports of a kernel's passes end with, in their order. */
const PASSES = ["_first", "_second", ""];

type Counting = (...args: number[]) => number;

/**
 * The compiled calls that one call of a kernel takes, and how much scratch memory they need; `undefined` if the kernel
 * was not compiled.
 */
export function compiledCalls(
  exports: WebAssembly.Exports,
  { name, params: fields, constants: overrides }: Kernel,
  { pointers, formats, params, constants, counter }: CallArguments,
): { readonly calls: readonly CompiledCall[]; readonly scratch: number } | undefined {
  if (!(name in exports)) return undefined;
  const sizes = [
    ...formats,
    ...Object.keys(fields).map((field) => params[field]!),
    ...Object.keys(overrides).map((field) => constants[field]!),
  ];
  const count = (suffix: string) =>
    ((exports[`${name}${suffix}`] as Counting | undefined)?.(...sizes) ?? 0) >>> 0;
  const args = [...pointers, ...sizes];
  const passes = PASSES.map((pass) => ({
    name: `${name}${pass}`,
    args,
    units: count(`${pass}_units`),
    counter,
  }));
  return { calls: passes.filter(({ units }) => units > 0), scratch: count("_scratch") };
}
