import { wgsl } from "../shaders.ts";

/** Dawn's description of matrix units (experimental): products of M x K and K x N. */
interface MatrixUnits {
  readonly subgroupMatrixConfigs?: readonly {
    readonly componentType: string;
    readonly resultComponentType: string;
    readonly M: number;
    readonly N: number;
    readonly K: number;
  }[];
}

/** Whether units, subgroups and memory are those that the feature `matrices` stands for (see kernel.ts). */
export function hasMatrixUnits(
  { subgroupMinSize, subgroupMaxSize, subgroupMatrixConfigs = [] }: GPUAdapterInfo & MatrixUnits,
  limits: Pick<GPUSupportedLimits, "maxComputeWorkgroupStorageSize">,
): boolean {
  const has32Lanes = subgroupMinSize === 32 && subgroupMaxSize === 32;
  const has32KiB = limits.maxComputeWorkgroupStorageSize >= 32 * 2 ** 10;
  const hasUnits = subgroupMatrixConfigs.some(
    ({ componentType, resultComponentType, M, N, K }) =>
      componentType === "f16" && resultComponentType === "f32" && M === 16 && N === 16 && K === 16,
  );
  return has32Lanes && has32KiB && hasUnits;
}

/** Whether the device's compiler takes matrix units as our shaders write them: see matrix_units.wgsl. */
export async function compilesMatrixUnits(device: GPUDevice): Promise<boolean> {
  const { text: code } = wgsl("core/gpu/matrix_units.wgsl");
  device.pushErrorScope("validation");
  device.createShaderModule({ label: "probe of matrix units", code });
  return (await device.popErrorScope()) === null;
}
