import { type Field, only } from "../../files/fields.ts";
import type { Activation } from "../../kernels/shared/activation.ts";

/** Names of transformers' `activations.ACT2FN`. Those of one function differ in how PyTorch computes it. */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  gelu: "gelu",
  gelu_python: "gelu",
  gelu_new: "geluTanh",
  gelu_fast: "geluTanh",
  gelu_accurate: "geluTanh",
  gelu_pytorch_tanh: "geluTanh",
  gelu_python_tanh: "geluTanh",
  quick_gelu: "quickGelu",
  silu: "silu",
  swish: "silu",
  relu: "relu",
};

/** The activation function that a field names; GELU where it is absent. Throws config_invalid for any other name. */
export function parseActivation(field: Field): Activation {
  return ACTIVATIONS[only(field, Object.keys(ACTIVATIONS)) ?? "gelu"]!;
}
