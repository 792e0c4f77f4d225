import {
  checkDivides,
  checkFours,
  field,
  flags,
  integer,
  integers,
  invalid,
  number,
  only,
  type Section,
} from "../../files/fields.ts";
import { MAX_GROUP_WIDTH } from "../../kernels/channel_scores/channel_scores.ts";
import {
  MAX_WINDOW,
  MAX_HEAD_WIDTH as MAX_WINDOW_HEAD_WIDTH,
} from "../../kernels/window_attention/window_attention.ts";
import { parseActivation } from "./activations.ts";
import type { VisionConfig } from "./config.ts";
import { MAX_LAYERS } from "./limits.ts";

const MAX_STAGES = 8;

/** Reads vision_config. Throws config_invalid for sizes beyond the limits of the kernels. */
export function parseVision(vision: Section): VisionConfig {
  const embedDim = integers(field(vision, "embed_dim", "dim_embed"));
  const stages = embedDim.length;
  if (stages > MAX_STAGES)
    throw invalid(field(vision, "embed_dim", "dim_embed"), `at most ${MAX_STAGES} stages`);
  const numHeads = integers(field(vision, "num_heads"), stages);
  const numGroups = integers(field(vision, "num_groups"), stages);
  const mlpRatio = number(field(vision, "mlp_ratio"), { fallback: 4, min: 1, max: 64 });
  for (const [stage, width] of embedDim.entries()) {
    checkDivides(field(vision, "num_heads"), numHeads[stage]!, width);
    checkDivides(field(vision, "num_groups"), numGroups[stage]!, width);
    checkFours(field(vision, "num_groups"), width / numGroups[stage]!, MAX_GROUP_WIDTH);
    checkFours(field(vision, "num_heads"), width / numHeads[stage]!, MAX_WINDOW_HEAD_WIDTH);
    checkFours(field(vision, "mlp_ratio"), Math.trunc(width * mlpRatio));
  }
  const patchPrenorm = flags(field(vision, "patch_prenorm"), stages);
  if (patchPrenorm[0]) {
    throw invalid(
      field(vision, "patch_prenorm"),
      "false for the first stage: no norm of three colours is supported",
    );
  }
  return {
    inChannels: only(field(vision, "in_channels"), [3]) ?? 3,
    embedDim,
    depths: integers(field(vision, "depths"), stages, { max: MAX_LAYERS }),
    numHeads,
    numGroups,
    patchSize: integers(field(vision, "patch_size"), stages),
    patchStride: integers(field(vision, "patch_stride"), stages),
    patchPadding: integers(field(vision, "patch_padding"), stages, { min: 0 }),
    patchPrenorm,
    windowSize: integer(field(vision, "window_size"), { max: MAX_WINDOW }),
    mlpRatio,
    qkvBias: only(field(vision, "qkv_bias"), [true, false]) ?? true,
    activation: parseActivation(field(vision, "activation_function")),
  };
}
