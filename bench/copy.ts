import { ceilDiv, defineKernel, linearGroups, read, write } from "../core/kernel.ts";
import { kernelCases } from "../core/kernel_cases.ts";

const LANES = 256;
const ELEMENTS = 2 ** 24;

const copyKernel = defineKernel({
  name: "copy",
  bindings: { x: read, out: write },
  params: { quads: "u32" },
  constants: {},
  variants: [
    {
      label: "portable",
      source: new URL("./copy.wgsl", import.meta.url),
      includes: [new URL("../kernels/shared/grid.wgsl", import.meta.url)],
      groups: ({ quads }) => linearGroups(ceilDiv(quads, LANES)),
    },
  ],
  twin: ({ x, out }) => out.set(x),
});

/** What the memory of a device gives to a kernel that does nothing else: the measure for all others. */
export const copyCases = kernelCases(copyKernel, {
  cases: [{ name: "64 MiB" }],
  // Nobody looks at the numbers: zeros are made faster.
  inputs: () => ({ x: { shape: [ELEMENTS], data: new Float32Array(ELEMENTS) } }),
  record: (rec, { x }) => {
    const out = rec.temp([ELEMENTS]);
    rec.dispatch(copyKernel, { x: x!, out }, { quads: ELEMENTS / 4 }, {});
    return { out };
  },
  work: () => ({ bytes: 8 * ELEMENTS, operations: 0 }),
  tolerance: 0,
});
