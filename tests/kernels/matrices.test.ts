/**
 * Matrix units where there are none: their shaders are type-checked by Dawn's null backend, which knows every
 * feature and computes nothing, and run with the units spelled out in plain WGSL.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { create } from "webgpu";
import type { GpuRunner } from "../../core/gpu/gpu_runner.ts";
import { compilesMatrixUnits, hasMatrixUnits } from "../../core/gpu/matrix_units.ts";
import { joined, shaderParts } from "../../core/gpu/shader_text.ts";
import type { Feature, Variant } from "../../core/kernel.ts";
import { type Dispatch, PORTABLE_PROFILE, Recording } from "../../core/recording.ts";
import type { Shader } from "../../core/shaders.ts";
import { newTensor } from "../../core/tensor.ts";
import { matmul } from "../../kernels/matmul/matmul.ts";
import type { AnyKernelCases } from "../../measure/case_runs.ts";
import { gpuMissing, openTestGpu, profile } from "../support/gpu.ts";
import { allKernelCases, checkCase } from "../support/kernel_check.ts";

const withMatrices = { ...PORTABLE_PROFILE, features: new Set<Feature>(["f16", "subgroups", "matrices"]) };
const isOfMatrices = ({ needs }: Variant) => needs?.includes("matrices") ?? false;
const suites = allKernelCases.filter(({ kernel }) => kernel.variants.some(isOfMatrices));
const formats = ["f16", "q8", "q4"] as const;

describe("where there are matrix units", () => {
  const taken = (M: number, dtype: "f32" | (typeof formats)[number], label?: string) => {
    const rec = new Recording({ profile: withMatrices, variants: label ? { matmul: label } : {} });
    matmul(rec, newTensor("x", [M, 64], "f32", "owned"), newTensor("weight", [512, 64], dtype, "owned"));
    return rec.dispatches[0]!.variant.label;
  };

  it.each(formats)("they multiply weights in %s when they are asked for, and only then", (dtype) => {
    expect(taken(600, dtype, "matrices")).toBe("matrices");
    expect(taken(600, dtype)).toBe("tile");
    expect(taken(3, dtype)).toBe("rows");
  });

  it("weights of single precision keep it", () => {
    expect(taken(9216, "f32", "matrices")).toBe("tile");
  });
});

describe("matrix units are used", () => {
  const unit = { componentType: "f16", resultComponentType: "f32", M: 16, N: 16, K: 16 };
  const info = { subgroupMinSize: 32, subgroupMaxSize: 32, subgroupMatrixConfigs: [unit] };
  const limits = { maxComputeWorkgroupStorageSize: 48 * 2 ** 10 };
  const areUsed = (change: object, limit = limits) =>
    hasMatrixUnits({ ...info, ...change } as unknown as GPUAdapterInfo, limit);

  it("where they multiply 16 x 16 x 16 from f16 to f32, for subgroups of 32 lanes, with memory beside them", () => {
    expect(areUsed({})).toBe(true);
    expect(areUsed({ subgroupMatrixConfigs: [{ ...unit, K: 8 }, unit] })).toBe(true);
  });

  it.each([
    ["are none", { subgroupMatrixConfigs: undefined }],
    [
      "are others",
      {
        subgroupMatrixConfigs: [
          { ...unit, resultComponentType: "f16" },
          { ...unit, N: 8 },
        ],
      },
    ],
    ["serve subgroups of other sizes", { subgroupMinSize: 16 }],
    ["serve larger subgroups as well", { subgroupMaxSize: 64 }],
  ])("but not where they %s", (_, change) => {
    expect(areUsed(change)).toBe(false);
  });

  it("but not with 16 KiB of workgroup memory", () => {
    expect(areUsed({}, { maxComputeWorkgroupStorageSize: 16_384 })).toBe(false);
  });
});

/** The instance has to outlive its devices. */
const instance = create(["backend=null", "enable-dawn-features=allow_unsafe_apis"]);

describe("shaders for matrix units", () => {
  let device: GPUDevice;
  beforeAll(async () => {
    const adapter = (await instance.requestAdapter())!;
    const requiredFeatures = [
      "shader-f16",
      "subgroups",
      "chromium-experimental-subgroup-matrix",
    ] as GPUFeatureName[];
    device = await adapter.requestDevice({ requiredFeatures });
  });
  afterAll(() => device.destroy());

  const faultsOf = async (code: string) => {
    device.pushErrorScope("validation");
    const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
    await device.popErrorScope();
    return messages.map(({ lineNum, message }) => `line ${lineNum}: ${message}`);
  };

  it("are taken by some compilers and not by others", async () => {
    expect(await compilesMatrixUnits(device)).toBe(true);
    const without = await (await instance.requestAdapter())!.requestDevice();
    expect(await compilesMatrixUnits(without)).toBe(false);
    without.destroy();
  });

  for (const { kernel } of suites) {
    for (const variant of kernel.variants.filter(isOfMatrices)) {
      const textWith = (dtype: (typeof formats)[number]) => {
        const tensors = Object.values(kernel.bindings).map((binding) =>
          newTensor("tensor", [64, 64], binding.dtype === "weights" ? dtype : binding.dtype, "owned"),
        );
        return joined(shaderParts({ kernel, variant, tensors } as unknown as Dispatch));
      };

      it.each(formats)(`${kernel.name}/${variant.label} is typed right, weights in %s`, async (dtype) => {
        expect(await faultsOf(textWith(dtype))).toEqual([]);
      });

      it(`${kernel.name}/${variant.label} is not if left and right are mistaken for each other`, async () => {
        const mistaken = textWith("f16").replaceAll("subgroupMatrixLoad<Left", "subgroupMatrixLoad<Right");
        expect((await faultsOf(mistaken)).join()).toMatch(/subgroup_matrix/);
      });
    }
  }
});

/**
 * The units' types and functions as kernels/shared/tile.matrices.wgsl uses them. Left and right are where they
 * were loaded from, until they are multiplied; each of 32 lanes has eight sums of a block. A compiler that saw how
 * often the loops go round would take half a minute to unroll them.
 */
const SPELLED_OUT = `
struct Left { is_rest: bool, offset: u32, stride: u32 }
struct Right { offset: u32, stride: u32 }
alias Sums = array<f32, 8>;
var<private> lane_of_block: u32;

fn unseen(count: u32) -> u32 {
  return count + (work_left >> 31u);
}

fn multiply_add(left: Left, right: Right, before: Sums) -> Sums {
  var sums = before;
  for (var i = 0u; i < unseen(8u); i++) {
    let e = lane_of_block + 32u * i;
    for (var k = 0u; k < unseen(16u); k++) {
      let at = left.offset + e / 16u * left.stride + k / 4u;
      let from_left = select(x_tile[at], rest_of_x_tile[at], left.is_rest)[k % 4u];
      let from_right = weight_tile[right.offset + e % 16u * right.stride + k / 4u][k % 4u];
      sums[i] += f32(from_left) * f32(from_right);
    }
  }
  return sums;
}

fn store_block(offset: u32, sums: Sums, stride: u32) {
  for (var i = 0u; i < unseen(8u); i++) {
    let e = lane_of_block + 32u * i;
    blocks[offset + e / 16u * stride + e % 16u] = sums[i];
  }
}
`;

/** The same shader for devices without units, but with f16 and subgroups. */
function spelledOut(variant: Variant): Variant {
  const replaced = ({ file, text }: Shader): Shader => ({
    file,
    text: text
      .replaceAll(/alias \w+ = subgroup_matrix_.*/g, "")
      .replaceAll(/@diagnostic\(.*\)/g, "")
      .replaceAll("let corner =", "lane_of_block = lane % 32u;\nlet corner =")
      .replaceAll("subgroupMatrixLoad<Left, row_major>(&x_tile,", "Left(false,")
      .replaceAll("subgroupMatrixLoad<Left, row_major>(&rest_of_x_tile,", "Left(true,")
      .replaceAll("subgroupMatrixLoad<Right, col_major>(&weight_tile,", "Right(")
      .replaceAll("subgroupMatrixMultiplyAccumulate(", "multiply_add(")
      .replaceAll("subgroupMatrixStore<row_major>(&blocks,", "store_block(")
      .concat(SPELLED_OUT),
  });
  const includes = variant.includes!.map((part) =>
    part.file.endsWith(".matrices.wgsl") ? replaced(part) : part,
  );
  return { ...variant, needs: ["f16", "subgroups"], includes };
}

/** The same, but its calls are handed to a variant whose units are spelled out. */
function spelledOutSuite(suite: AnyKernelCases, variant: Variant): AnyKernelCases {
  return {
    ...suite,
    tolerance: SINGLE,
    record: (rec, tensors, testCase) => {
      const outputs = suite.record(rec, tensors, testCase);
      for (const [i, dispatch] of rec.dispatches.entries())
        rec.dispatches[i] = { ...dispatch, variant: spelledOut(variant) };
      return outputs;
    },
  };
}

const needed = (["f16", "subgroups"] as const).find((feature) => !profile.features.has(feature));
const missing = gpuMissing ?? (needed && `the GPU has no ${needed}`);
/** What is spelled out is slow. */
const MOST_OPERATIONS = 5e6;
/** Of short sums of weights in f16: no accuracy is lost. */
const SINGLE = 1e-5;

describe.skipIf(missing)(`kernels with matrix units, spelled out${missing ? ` (${missing})` : ""}`, () => {
  let gpu: GpuRunner;
  beforeAll(async () => {
    gpu = await openTestGpu({ debug: true });
  });
  afterAll(() => gpu.dispose());

  for (const suite of suites) {
    for (const variant of suite.kernel.variants.filter(isOfMatrices)) {
      const spelled = spelledOutSuite(suite, variant);
      for (const testCase of suite.cases.filter((each) => suite.work(each).operations < MOST_OPERATIONS)) {
        it(`${suite.kernel.name}/${variant.label}: ${testCase.name}`, async () => {
          expect(await checkCase(gpu, spelled, testCase, variant.label, "f16")).toBeUndefined();
        });
      }
    }
  }
});
