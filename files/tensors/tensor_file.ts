import { widenBfloat16, widenFloat16 } from "../../core/dtypes/float16.ts";
import { type ErrorCode, Florence2Error, quote } from "../../core/errors.ts";
import { allocate } from "../ranged_file.ts";

export interface TensorEntry {
  /** As safetensors spells it: "F32", "F16", "BF16", … */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Size of its values. */
  readonly bytes: number;
}

/** A range of a tensor's bytes: start to end - 1. */
export interface ByteRange {
  readonly start?: number;
  readonly end?: number;
}

/** One file of tensors, or the shards of one checkpoint seen as one. Holds no tensor data itself. */
export interface TensorFile {
  /** The file's name as error messages show it. */
  readonly name: string;
  /** In the order in which the file lists or stores them. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: ReadonlyMap<string, string>;
  /**
   * The bytes of a tensor, or the range of them, row by row and little-endian, in a buffer of their own
   * (offset 0, so any typed array may view it), or in `into`, which has room for just as many. Throws
   * checkpoint_mismatch for an unknown name or range, file_unreadable when the file is no longer what it was.
   */
  read(name: string, range?: ByteRange, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** Elements that are converted at a time: 8 MB of float16. */
const CHUNK_ELEMENTS = 4 * 2 ** 20;

/** No tensor of a model has as many axes. */
export const MAX_AXES = 16;

export function entryFor<T>(tensors: ReadonlyMap<string, T>, name: string, file: string): T {
  const entry = tensors.get(name);
  if (entry) return entry;
  throw new Florence2Error("checkpoint_mismatch", `${file} holds no tensor ${quote(name)}.`, {
    file,
    tensor: name,
  });
}

export function checkRange(range: ByteRange = {}, bytes: number, tensor: string, file: string) {
  const { start = 0, end = bytes } = range;
  if (Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start <= end && end <= bytes) {
    return { start, end };
  }
  throw new Florence2Error(
    "checkpoint_mismatch",
    `Tensor ${quote(tensor)} of ${file} has ${bytes} bytes; bytes ${start} to ${end} were asked for.`,
    { file, tensor, expected: bytes, found: [start, end] },
  );
}

/** Elements from to to - 1 of a tensor in F32, F16 or BF16, row by row. */
export async function readFloats(
  file: TensorFile,
  name: string,
  from: number,
  to: number,
): Promise<Float32Array<ArrayBuffer>> {
  const dtype = file.tensors.get(name)!.dtype;
  const width = dtype === "F32" ? 4 : 2;
  const values = new Float32Array(allocate((to - from) * 4, file.name).buffer);
  for (let at = from; at < to; at += CHUNK_ELEMENTS) {
    const end = Math.min(at + CHUNK_ELEMENTS, to);
    const { buffer } = await file.read(name, { start: at * width, end: end * width });
    const target = values.subarray(at - from, end - from);
    if (dtype === "F32") target.set(new Float32Array(buffer));
    else if (dtype === "F16") widenFloat16(new Uint16Array(buffer), target);
    else widenBfloat16(new Uint16Array(buffer), target);
  }
  return values;
}

export function isListOfCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

/** What a file is that was taken for a file of tensors, from its first bytes. */
export function recognise(first: Uint8Array): string | undefined {
  const text = String.fromCharCode(...first);
  if (text.startsWith("PK\x03\x04")) return "a zip archive, such as PyTorch's .bin and .pt files";
  if (first[0] === 0x80 && first[1]! >= 2 && first[1]! <= 5)
    return "a Python pickle, such as PyTorch's .bin and .pt files before version 1.6";
  if (text.startsWith("\x1f\x8b")) return "compressed with gzip";
  if (text.startsWith("version https://git-lfs")) {
    return "the pointer that Git LFS leaves in its place (run `git lfs pull`)";
  }
  if (/^\s*<[!?a-z]/i.test(text)) return "an HTML or XML page, perhaps the error page of a server";
  return undefined;
}

/** A file that breaks its format. */
export function fileInvalid(
  code: ErrorCode,
  file: string,
  problem: string,
  details: Record<string, unknown> = {},
  cause?: unknown,
): Florence2Error {
  return new Florence2Error(code, `${file} ${problem}.`, { file, ...details }, cause);
}

/** A tensor, or what an index says of it, that breaks the format of its file. */
export function tensorInvalid(
  code: ErrorCode,
  file: string,
  tensor: string,
  fault: string,
  expected: string,
  found: unknown,
): Florence2Error {
  return fileInvalid(
    code,
    file,
    `is not valid: tensor ${quote(tensor)} ${fault}. Expected ${expected}; found ${quote(found)}`,
    { tensor, expected, found },
  );
}
