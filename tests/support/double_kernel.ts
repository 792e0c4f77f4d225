import { type Arrays, defineKernel, linearGroups, read, write } from "../../core/kernel.ts";
import { kernelCases } from "../../core/kernel_cases.ts";
import type { Recording } from "../../core/recording.ts";
import type { Tensor } from "../../core/tensor.ts";
import type { AnyKernelCases } from "./kernel_check.ts";

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
    fn main(@builtin(global_invocation_id) id: vec3u) {
      let i = id.x;
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
        source: new URL(`data:text/plain,${encodeURIComponent(source)}`),
        groups: ({ count }) => linearGroups(Math.ceil(count / 64)),
      },
    ],
    twin: ({ x, out }: Arrays<typeof bindings>, { count }) => {
      for (let i = 0; i < count; i++) out[i] = twin(x[i]!, i);
    },
  });
}

/** Records `kernel` over all elements of x. */
export function double(rec: Recording, kernel: ReturnType<typeof doubleKernel>, x: Tensor): Tensor {
  const out = rec.temp(x.shape);
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
