import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { openFiles } from "../../files/files.ts";
import { openWeightFile } from "../../files/tensors/shards.ts";
import type { TensorFile } from "../../files/tensors/tensor_file.ts";
import { florenceError } from "./errors.ts";
import {
  type PickledTensor,
  pickleBytes,
  pickledTensor,
  pickledText,
  pytorchBytes,
  type ZipOptions,
} from "./pytorch_bytes.ts";

export const fixtures = new URL("../fixtures/pytorch/", import.meta.url);
export const bytesOf = (name: string) => new Uint8Array(readFileSync(new URL(name, fixtures)));
export const open = (bytes: Uint8Array) => openWeightFile(openFiles({ "w.bin": bytes }), ["w.bin"]);

/** What a file says of each tensor, and the tensor's bytes. */
export async function everything(file: TensorFile): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  for (const [name, { dtype, shape, bytes }] of file.tensors) {
    found.set(name, { dtype, shape, bytes, data: await file.read(name) });
  }
  await file.close();
  return found;
}

/** Expects that a file is refused with these words. */
export async function rejects(bytes: Uint8Array, ...patterns: readonly (string | RegExp)[]): Promise<void> {
  const read = async () => everything(await open(bytes));
  await expect(read()).rejects.toEqual(florenceError("pytorch_invalid", "w.bin", ...patterns));
}

/** A file whose dictionary holds one tensor, "a". */
export function withTensor(tensor: PickledTensor, options?: ZipOptions): Uint8Array {
  return pytorchBytes(pickleBytes("}", pickledText("a"), ...pickledTensor(tensor), "s"), options);
}

/** Two rows of two in float32: all of the storage of `pytorchBytes`. */
export const square: PickledTensor = { shape: [2, 2], strides: [2, 1] };
