import { ceilDiv, defineKernel, linearGroups, read, write } from "../core/kernel.ts";
import { wgsl } from "../core/shaders.ts";
import { kernelCases } from "../kernels/shared/kernel_cases.ts";

const LANES = 256;

export const copyKernel = defineKernel({
  name: "copy",
  bindings: { x: read, out: write },
  params: { quads: "u32" },
  constants: {},
  variants: [
    {
      label: "portable",
      source: wgsl("measure/copy.wgsl"),
      includes: [wgsl("kernels/shared/grid.wgsl")],
      groups: ({ quads }) => linearGroups(ceilDiv(quads, LANES)),
    },
  ],
  twin: ({ x, out }) => out.set(x),
});

/** What the memory of a device gives to a kernel that does nothing else: the measure for all others. */
export const copyCases = kernelCases(copyKernel, {
  cases: [{ name: "64 MiB", elements: 2 ** 24 }],
  inputs: ({ elements }, random) => ({ x: random.normal(elements) }),
  record: (rec, { x }, { elements }) => {
    const out = rec.temp([elements]);
    rec.dispatch(copyKernel, { x: x!, out }, { quads: elements / 4 }, {});
    return { out };
  },
  work: ({ elements }) => ({ bytes: 8 * elements, operations: 0 }),
  tolerance: 0,
});
