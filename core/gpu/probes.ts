import type { Feature } from "../kernel.ts";
import { readShippedText } from "../platform.ts";

/** Features that compilers may have and yet not take our way of writing for: a small shader of each. */
const PROBES = {
  subgroups: new URL("./probes/subgroups.wgsl", import.meta.url),
  matrices: new URL("./probes/matrices.wgsl", import.meta.url),
} as const satisfies Partial<Record<Feature, URL>>;

/** Those of the features that the device's compiler takes as our shaders write for them. */
export async function understoodFeatures(
  device: GPUDevice,
  features: ReadonlySet<Feature>,
): Promise<Set<Feature>> {
  const understood = new Set(features);
  for (const [feature, probe] of Object.entries(PROBES) as [keyof typeof PROBES, URL][]) {
    if (!features.has(feature)) continue;
    const code = await readShippedText(probe);
    device.pushErrorScope("validation");
    device.createShaderModule({ label: `probe of ${feature}`, code });
    if (await device.popErrorScope()) understood.delete(feature);
  }
  return understood;
}
