import { packWeights } from "../../core/dtypes/stored_weights.ts";
import { elementsOf } from "../../core/tensor.ts";
import type { Florence2Config } from "../../model/config/config.ts";
import {
  expectedTensors,
  type FlorenceCheckpoint,
  OUTPUT_HEAD,
  type WeightDtype,
} from "../../model/weights/checkpoint.ts";

/** Weights of the right shapes and no content; the output head is the token table, as in the released files. */
export function emptyCheckpoint(config: Florence2Config, dtype: WeightDtype = "F32"): FlorenceCheckpoint {
  const shapes = expectedTensors(config);
  const shapeOf = (name: string) => shapes.get(name)!;
  const elements = (name: string, from: number, to: number) =>
    (to - from) * elementsOf(shapeOf(name).slice(1));
  return {
    layout: "microsoft",
    has: (name) => shapes.has(name) && name !== OUTPUT_HEAD,
    tensor: (name) => ({ shape: shapeOf(name), dtype }),
    read: async (name) => new Float32Array(elementsOf(shapeOf(name))),
    readRows: async (name, from, to) => new Float32Array(elements(name, from, to)),
    readPacked: async (name, from, to, held) =>
      packWeights(new Float32Array(elements(name, from, to)), held, name),
    close: async () => {},
  };
}
