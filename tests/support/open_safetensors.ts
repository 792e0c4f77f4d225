import { expect } from "vitest";
import { openSafetensors } from "../../files/tensors/safetensors.ts";
import { florenceError } from "./errors.ts";

/** The bytes of each tensor in a file. */
export async function open(bytes: Uint8Array): Promise<Map<string, Uint8Array>> {
  const file = await openSafetensors(bytes);
  const data = new Map<string, Uint8Array>();
  for (const name of file.tensors.keys()) data.set(name, await file.read(name));
  await file.close();
  return data;
}

/** Expects that a file is refused with these words. */
export async function rejects(bytes: Uint8Array, ...patterns: readonly (string | RegExp)[]): Promise<void> {
  await expect(open(bytes)).rejects.toEqual(florenceError("safetensors_invalid", ...patterns));
}
