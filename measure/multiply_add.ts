import { ceilDiv, defineKernel, linearGroups, read, write } from "../core/kernel.ts";
import { wgsl } from "../core/shaders.ts";
import { kernelCases } from "../kernels/shared/kernel_cases.ts";

const LANES = 256;
/** Each element goes through four chains of multiply-adds. */
const CHAINS = 4;

const multiplyAddKernel = defineKernel({
  name: "multiply_add",
  bindings: { x: read, out: write },
  params: { quads: "u32", steps: "u32" },
  constants: {},
  variants: [
    {
      label: "portable",
      source: wgsl("measure/multiply_add.wgsl"),
      includes: [wgsl("kernels/shared/grid.wgsl")],
      groups: ({ quads }) => linearGroups(ceilDiv(quads, LANES)),
    },
  ],
  twin: ({ x, out }, { steps }) => {
    for (let i = 0; i < x.length; i++) {
      let sum = 0;
      for (let chain = 0; chain < CHAINS; chain++) {
        let value = x[i - (i % 4) + ((i + chain) % 4)]!;
        for (let step = 0; step < steps; step++) value = Math.fround(value * 0.5 + x[i]!);
        sum += value;
      }
      out[i] = sum;
    }
  },
});

/** What the arithmetic of a device gives to a kernel that does nothing else, in f32 and without matrix units. */
export const multiplyAddCases = kernelCases(multiplyAddKernel, {
  cases: [{ name: "4 M elements x 512", elements: 2 ** 22, steps: 512 }],
  inputs: ({ elements }, random) => ({ x: random.normal(elements) }),
  record: (rec, { x }, { elements, steps }) => {
    const out = rec.temp([elements]);
    rec.dispatch(multiplyAddKernel, { x: x!, out }, { quads: elements / 4, steps }, {});
    return { out };
  },
  work: ({ elements, steps }) => ({ bytes: 8 * elements, operations: 2 * CHAINS * steps * elements }),
  tolerance: 1e-6,
});
