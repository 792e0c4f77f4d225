/**
 * Every failure that the library reports on purpose carries one of these codes, so that a caller can
 * branch on it; the message says what was wrong, with the numbers, and what to do about it.
 */
export type ErrorCode =
  /** A file is missing or cannot be read. */
  | "file_not_found"
  | "file_unreadable"
  /** A file or folder of results cannot be written. */
  | "file_unwritable"
  /** A hub has no such repository or revision, or wants a token that may read it. */
  | "repository_not_found"
  | "access_denied"
  /** A hub cannot be reached, or sends something other than the file. */
  | "download_failed"
  /** The folder for downloads is full or may not be written. */
  | "cache_unwritable"
  /** A safetensors file breaks the format. */
  | "safetensors_invalid"
  /** A file by torch.save breaks the format, or holds more than a dictionary of tensors. */
  | "pytorch_invalid"
  /** The right kind of file, but not a Florence-2 checkpoint that fits its configuration. */
  | "checkpoint_mismatch"
  | "config_invalid"
  | "tokenizer_invalid"
  /** Text or ids that the tokenizer cannot take. */
  | "token_invalid"
  | "image_unsupported"
  | "image_corrupt"
  | "image_too_large"
  | "image_invalid"
  /** An unknown task, or a missing or surplus text for it. */
  | "task_invalid"
  | "prompt_too_long"
  | "option_invalid"
  /** A data set for evaluation, or predictions kept beside it, break their format. */
  | "data_invalid"
  /** WebGPU is missing, or lacks a limit. */
  | "gpu_unavailable"
  | "gpu_lost"
  | "gpu_out_of_memory"
  /** A GPU validation or compilation error: a bug in this library. */
  | "gpu_invalid"
  /** The memory of the CPU engine cannot grow. */
  | "cpu_out_of_memory"
  /** The CPU engine cannot be compiled, or a thread of it ended. */
  | "cpu_failed"
  /** A kernel was given tensors that do not fit together: a bug in this library. */
  | "shape_mismatch"
  | "non_finite"
  | "dependency_missing"
  | "disposed";

/** The one error class of the library. `details` holds the offending values by name. */
export class Florence2Error extends Error {
  override readonly name = "Florence2Error";
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }
}

/**
 * A name or value as an error message shows it: text in quotation marks, control characters escaped, at most
 * 100 characters.
 *
 *     quote("a\n")  // "a\\n" in quotation marks
 *     quote([1, 2])  // [1,2]
 *     quote(NaN)     // NaN
 */
export function quote(value: unknown): string {
  const text = shown(value);
  return text.length <= 100 ? text : `${text.slice(0, 96)}…${text.endsWith('"') ? '"' : ""}`;
}

function shown(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (typeof value !== "string" && (typeof value !== "object" || value === null)) return String(value);
  try {
    // The JSON of a class instance adds nothing to its name.
    const prototype = typeof value === "object" && !Array.isArray(value) && Object.getPrototypeOf(value);
    const name = prototype && prototype !== Object.prototype && prototype.constructor?.name;
    return name ? `of type ${name}` : JSON.stringify(value);
  } catch {
    return `of type ${typeof value}`;
  }
}

/**
 * What an error says. Not by `instanceof Error`: errors of Node are of another realm where a test runner such as Jest
 * gives modules a realm of their own.
 */
export function messageOf(error: unknown): string {
  const { message } = Object(error) as { readonly message?: unknown };
  return typeof message === "string" ? message : String(error);
}

/** Whether the device is gone, and the model has to be loaded again. */
export const isDeviceLost = (error: unknown): boolean =>
  error instanceof Florence2Error && ["gpu_lost", "cpu_failed"].includes(error.code);

/** Whether a smaller piece of work may succeed. */
export const isOutOfMemory = (error: unknown): boolean =>
  error instanceof Florence2Error && ["gpu_out_of_memory", "cpu_out_of_memory"].includes(error.code);
