/** Shaders are joined from files: errors of compilers are to name the file and the line in it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { create } from "webgpu";
import { Florence2Error } from "../../../core/errors.ts";
import { PipelineCache } from "../../../core/gpu/pipelines.ts";
import { joined, locate, shaderParts } from "../../../core/gpu/shader_text.ts";
import { type Dispatch, Recording } from "../../../core/recording.ts";
import type { Shader } from "../../../core/shaders.ts";
import { newTensor } from "../../../core/tensor.ts";
import { layerNorm } from "../../../kernels/layer_norm/layer_norm.ts";
import { matmul } from "../../../kernels/matmul/matmul.ts";
import { dispatchOf, weightFormats } from "../../../measure/case_runs.ts";
import { allKernelCases } from "../../support/kernel_check.ts";

const tensor = (...shape: number[]) => newTensor("tensor", shape, "f32", "owned");

function layerNormCall(): Dispatch {
  const rec = new Recording();
  layerNorm(rec, { rows: tensor(2, 8), norm: { weight: tensor(8), bias: tensor(8) } });
  return rec.dispatches[0]!;
}

describe("the parts of a shader", () => {
  it("are the head, how weights are read, the includes and the kernel's own file", () => {
    const rec = new Recording();
    matmul(rec, tensor(40, 32), newTensor("weight", [8, 32], "q8", "owned"));
    const [dispatch] = rec.dispatches;
    const parts = shaderParts(dispatch!);
    expect(parts.map(({ file }) => file)).toEqual([
      "head of matmul/tile",
      "kernels/shared/weights.q8.wgsl",
      ...dispatch!.variant.includes!.map(({ file }) => file),
      "kernels/matmul/matmul.tile.wgsl",
    ]);
    expect(parts[0]!.text).toBe("const TILE = 32u;");
    expect(parts[1]!.text).toContain("fn four_of_weight(");
    expect(parts[1]!.text).not.toContain("NAME");
  });

  it("are found again by a line of the whole", () => {
    const parts = shaderParts(layerNormCall());
    for (const [i, text] of joined(parts).split("\n").entries()) {
      const found = locate(parts, i + 1);
      expect(found.text).toBe(text);
      expect(parts.find(({ file }) => file === found.file)!.text.split("\n")[found.line - 1]).toBe(text);
    }
  });
});

/** Compiles and computes nothing, so that this runs where there is no GPU. The instance has to outlive its devices. */
const instance = create(["backend=null"]);

describe("on a device that compiles and computes nothing", () => {
  let device: GPUDevice;
  beforeAll(async () => {
    device = await (await instance.requestAdapter())!.requestDevice();
  });
  afterAll(() => device.destroy());

  for (const suite of allKernelCases) {
    for (const variant of suite.kernel.variants.filter(({ needs }) => needs === undefined)) {
      it(`${suite.kernel.name}/${variant.label} compiles, whatever its weights are stored as`, async () => {
        for (const testCase of suite.cases) {
          for (const format of suite.weights ? weightFormats(suite, testCase) : [undefined]) {
            const dispatch = dispatchOf(suite, testCase, variant.label, undefined, format);
            if (dispatch) expect((await PipelineCache.of(device).get(dispatch)).pipeline).toBeDefined();
          }
        }
      });
    }
  }

  const failure = (change: (part: Shader) => Shader) => {
    const call = layerNormCall();
    const { source, includes = [] } = call.variant;
    const variant = { ...call.variant, source: change(source), includes: includes.map(change) };
    return PipelineCache.of(device)
      .get({ ...call, variant })
      .catch((error: unknown) => error as Florence2Error);
  };
  const replaced = (ending: string, from: string, to: string) => (part: Shader) =>
    part.file.endsWith(ending) ? { ...part, text: part.text.replace(from, to) } : part;
  /** `line:column` of the first occurrence. */
  const place = (text: string, word: string) => {
    const before = text.slice(0, text.indexOf(word)).split("\n");
    return `${before.length}:${before.at(-1)!.length + 1}`;
  };

  it("a fault in a kernel's file is told by its line and column there, with the line", async () => {
    const change = replaced("/layer_norm.wgsl", "params.vectors", "params.vectorz");
    const error = await failure(change);
    expect(error).toBeInstanceOf(Florence2Error);
    const where = place(change(layerNormCall().variant.source).text, "params.vectorz");
    const { message } = error as Florence2Error;
    expect(message).toContain(`kernels/layer_norm/layer_norm.wgsl:${where} `);
    expect(message).toMatch(/\n {4}.*params\.vectorz/);
  });

  it("a fault in an include is told by that file", async () => {
    const change = replaced("/reduce.wgsl", "lane_values[lane] = value", "lane_values[lane] = nonsense");
    const error = await failure(change);
    const reduce = layerNormCall().variant.includes!.find(({ file }) => file.endsWith("/reduce.wgsl"))!;
    const where = place(change(reduce).text, "nonsense");
    expect((error as Florence2Error).message).toContain(`kernels/shared/reduce.wgsl:${where} `);
  });
});
