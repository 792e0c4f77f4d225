/**
 * From the vision tower's feature map to tokens that the text encoder reads like words (Florence-2
 * paper, section 3). Reference module: transformers `Florence2MultiModalProjector`.
 */
import type { Recording } from "../core/recording.ts";
import { columnsOf, rowsOf, type Tensor } from "../core/tensor.ts";
import { addImagePositions } from "../kernels/add_image_positions/add_image_positions.ts";
import { layerNorm } from "../kernels/layer_norm/layer_norm.ts";
import { matmul } from "../kernels/matmul/matmul.ts";
import type { NormWeights } from "../kernels/shared/norm.ts";
import type { ImageFeatureSource } from "./config/config.ts";
import type { FeatureMap } from "./davit.ts";

export interface ProjectorWeights {
  /** (d, C): transposed from the checkpoint, to be used like any other linear layer. */
  readonly projection: Tensor;
  readonly norm: NormWeights;
  /** (50, C / 2) each. */
  readonly rowEmbeddings: Tensor;
  readonly columnEmbeddings: Tensor;
  /** (C): the first row of the cosine table, for the one frame that an image is. */
  readonly temporal: Tensor;
}

/**
 * Adds positions and time, puts the pooled tokens in the order the configuration names, and projects
 * them: (I, d). With one frame, pooling over time leaves all tokens; pooling over space leaves their mean.
 */
export function projectImage(
  rec: Recording,
  w: ProjectorWeights,
  { x, height, width }: FeatureMap,
  sources: readonly ImageFeatureSource[],
): Tensor {
  const [N, C] = [rowsOf(x), columnsOf(x)];
  const counts = sources.map((source) => (source === "spatial_avg_pool" ? 1 : N));
  const starts = counts.map((_, i) => counts.slice(0, i).reduce((a, b) => a + b, 0));
  const tokens = rec.temp([counts.reduce((a, b) => a + b), C]);
  const mean = sources.indexOf("spatial_avg_pool");
  for (const [i, source] of sources.entries()) {
    if (source === "spatial_avg_pool") continue;
    addImagePositions(rec, x, w, { height, width, out: tokens, outRow: starts[i]!, meanRow: starts[mean] });
  }
  return rec.tap("projector", layerNorm(rec, { rows: matmul(rec, tokens, w.projection), norm: w.norm }));
}
