import { type Arrays, defineKernel, linearGroups, read, updateU32, write } from "../../core/kernel.ts";
import type { Recording } from "../../core/recording.ts";
import { wgsl } from "../../core/shaders.ts";
import type { Tensor } from "../../core/tensor.ts";
import { kernelCases } from "../../kernels/shared/kernel_cases.ts";
import type { AnyKernelCases } from "../../measure/case_runs.ts";

/** `double` writes out[i] = 2 x[i]: the smallest kernel, and ways of getting it wrong. */
export interface DoubleFaults {
  /** The statement of the shader that writes element i. */
  readonly statement?: string;
  readonly twin?: (x: number, i: number) => number;
}

export function doubleKernel({ statement = "out[i] = 2.0 * x[i];", twin = (x) => 2 * x }: DoubleFaults = {}) {
  const source = `
    struct Params { count: u32 }
    @group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> out: array<f32>;
    @group(1) @binding(0) var<uniform> params: Params;
    @compute @workgroup_size(64)
    fn main(
      @builtin(workgroup_id) group: vec3u,
      @builtin(num_workgroups) groups: vec3u,
      @builtin(local_invocation_index) lane: u32,
    ) {
      let i = linear_workgroup(group, groups) * 64u + lane;
      if (i < params.count) { ${statement} }
    }`;
  const bindings = { x: read, out: write };
  return defineKernel({
    name: "double",
    bindings,
    params: { count: "u32" },
    constants: {},
    variants: [
      {
        label: "only",
        source: { file: "double.wgsl", text: source },
        includes: [wgsl("kernels/shared/grid.wgsl")],
        groups: ({ count }) => linearGroups(Math.ceil(count / 64)),
      },
    ],
    twin: ({ x, out }: Arrays<typeof bindings>, { count }) => {
      for (let i = 0; i < count; i++) out[i] = twin(x[i]!, i);
    },
  });
}

const countDownKernel = defineKernel({
  name: "count_down",
  bindings: { counter: updateU32 },
  params: { by: "u32" },
  constants: {},
  variants: [
    {
      label: "only",
      source: {
        file: "count_down.wgsl",
        text: `
          struct Params { by: u32 }
          @group(0) @binding(0) var<storage, read_write> counter: array<u32>;
          @group(1) @binding(0) var<uniform> params: Params;
          @compute @workgroup_size(1) fn main() { counter[0] -= min(counter[0], params.by); }`,
      },
      groups: () => [1, 1, 1],
    },
  ],
  twin: ({ counter }: { readonly counter: Uint32Array }, { by }) => {
    counter[0]! -= Math.min(counter[0]!, by);
  },
});

/** Takes one from a counter, if there is one left. */
export function countDown(rec: Recording, counter: Tensor): void {
  rec.dispatch(countDownKernel, { counter }, { by: 1 }, {});
}

/** Records `kernel` over all elements of x. */
export function double(
  rec: Recording,
  kernel: ReturnType<typeof doubleKernel>,
  x: Tensor,
  out = rec.temp(x.shape),
): Tensor {
  rec.dispatch(kernel, { x, out }, { count: x.shape.reduce((a, b) => a * b, 1) }, {});
  return out;
}

export function doubleCases(faults: DoubleFaults = {}): AnyKernelCases {
  const kernel = doubleKernel(faults);
  return kernelCases(kernel, {
    cases: [{ name: "1000 elements" }],
    inputs: (_, random) => ({ x: random.normal(10, 100) }),
    record: (rec, { x }) => ({ out: double(rec, kernel, x!) }),
    work: () => ({ bytes: 8000, operations: 1000 }),
    tolerance: 1e-6,
  });
}
