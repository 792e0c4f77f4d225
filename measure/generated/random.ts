import { elementsOf } from "../../core/tensor.ts";
import type { RandomArrays } from "../../kernels/shared/kernel_cases.ts";

/** The 32-bit finaliser of murmur3: spreads a counter over all bits. */
export function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Seeded inputs for kernels: counters hashed, so that each array depends on nothing but its turn. */
export function randomArrays(seed: number): RandomArrays {
  let counter = Math.imul(seed, 0x9e3779b9);
  const uniform = () => mix(counter++) / 2 ** 32;
  return {
    // The sum of four uniforms: bell-shaped, bounded, and of variance 1 after scaling.
    normal: (...shape) => {
      // A loop: `from` takes several times as long, and cases have up to 39 million numbers.
      const data = new Float32Array(elementsOf(shape));
      for (let i = 0; i < data.length; i++)
        data[i] = (uniform() + uniform() + uniform() + uniform() - 2) * Math.sqrt(3);
      return { shape, data };
    },
    integers: (limit, ...shape) => {
      const data = new Uint32Array(elementsOf(shape));
      for (let i = 0; i < data.length; i++) data[i] = Math.floor(uniform() * limit);
      return { shape, data };
    },
  };
}
