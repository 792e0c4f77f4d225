import type { Twin } from "../../core/kernel.ts";
import { normalizeRows } from "../shared/norm.ts";
import type { signature } from "./layer_norm.ts";

export const layerNormTwin: Twin<typeof signature> = ({ normed, norm_weight, norm_bias, out }) => {
  out.set(normalizeRows(normed, norm_weight, norm_bias));
};
