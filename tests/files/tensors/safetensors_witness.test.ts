import { describe, expect, it } from "vitest";
import { openSafetensors } from "../../../files/tensors/safetensors.ts";
import { safetensorsBytes } from "../../support/safetensors_bytes.ts";

/** What the package exports; it has no types of its own. */
interface Witness {
  readonly SafeTensor: new (
    bytes: Uint8Array,
  ) => {
    readonly metadata: ReadonlyMap<string, { readonly dtype: string; readonly shape: readonly number[] }>;
    getTensor(name: string): Uint8Array;
  };
}

async function readWithWitness(bytes: Uint8Array) {
  const untyped = "safetensors";
  const { SafeTensor } = (await import(untyped)) as Witness;
  return new SafeTensor(bytes);
}

describe("the npm package safetensors", () => {
  it("reads the same names, dtypes, shapes and bytes from a file without metadata", async () => {
    const values = Float32Array.from({ length: 60 }, (_, i) => Math.sin(i));
    const bytes = safetensorsBytes({
      weight: { dtype: "F32", shape: [3, 4, 5], bytes: new Uint8Array(values.buffer) },
      half: { dtype: "F16", shape: [3], bytes: Uint8Array.of(1, 2, 3, 4, 5, 6) },
      none: { dtype: "I64", shape: [0, 7], bytes: new Uint8Array(0) },
      scalar: { dtype: "BF16", shape: [], bytes: Uint8Array.of(0x80, 0x3f) },
    });
    const witness = await readWithWitness(bytes);
    const ours = await openSafetensors(bytes);
    expect([...ours.tensors.keys()].sort()).toEqual([...witness.metadata.keys()].sort());
    for (const [name, { dtype, shape }] of ours.tensors) {
      expect({ dtype, shape }).toEqual({
        dtype: witness.metadata.get(name)!.dtype,
        shape: witness.metadata.get(name)!.shape,
      });
      expect(await ours.read(name)).toEqual(witness.getTensor(name).slice());
    }
  });
});
