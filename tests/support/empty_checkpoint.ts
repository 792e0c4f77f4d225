import { elementsOf, shapeOnly, wordsOf } from "../../core/tensor.ts";
import type { Florence2Config } from "../../model/config/config.ts";
import type { FlorenceCheckpoint } from "../../model/weights/checkpoint.ts";
import type { WeightDtype } from "../../model/weights/dtypes.ts";
import { expectedTensors, TABLE_COPIES } from "../../model/weights/expected_tensors.ts";

/** Weights of the right shapes and no content; the output head is the token table, as in the released files. */
export function emptyCheckpoint(config: Florence2Config, dtype: WeightDtype = "F32"): FlorenceCheckpoint {
  const shapes = expectedTensors(config);
  const shapeOf = (name: string) => shapes.get(name)!;
  const elements = (name: string, from: number, to: number) =>
    (to - from) * elementsOf(shapeOf(name).slice(1));
  return {
    layout: "microsoft",
    tensors: new Map(
      [...shapes]
        .filter(([name]) => !TABLE_COPIES.includes(name))
        .map(([name, shape]) => [name, { shape, dtype }]),
    ),
    read: async (name) => new Float32Array(elementsOf(shapeOf(name))),
    readRows: async (name, from, to) => new Float32Array(elements(name, from, to)),
    // As many bytes as packed weights have; packing those of base takes seconds.
    readPacked: async (name, from, to, held) => {
      const words = wordsOf(shapeOnly(name, [elements(name, from, to)], held));
      return held === "f32" ? new Float32Array(words) : new Uint32Array(words);
    },
    close: async () => {},
  };
}
