import { type InputArray, kernelCases } from "../shared/kernel_cases.ts";
import { cachedAttention, cachedAttentionKernel } from "./cached_attention.ts";

export default kernelCases(cachedAttentionKernel, {
  cases: [
    { name: "base, 3 beams", R: 3, T: 128, H: 12, D: 64 },
    { name: "large, 5 beams of 2 images", R: 10, T: 64, H: 16, D: 64 },
    { name: "first step", R: 2, T: 1, H: 2, D: 12 },
    { name: "ragged", R: 3, T: 70, H: 3, D: 20 },
    { name: "widest head", R: 2, T: 66, H: 1, D: 256 },
  ],
  inputs: ({ R, T, H, D }, random) => ({
    qkv: random.normal(R, 3 * H * D),
    keys: random.normal(T, R, H * D),
    values: random.normal(T, R, H * D),
    // At the last step that the caches hold, rows are their own ancestors.
    ancestry: ownAtTheEnd(random.integers(R, R, T)),
    position: { shape: [1], data: Uint32Array.of(T - 1) },
  }),
  record: (rec, { qkv, keys, values, ancestry, position }, { H }) => ({
    out: cachedAttention(rec, qkv!, keys!, values!, ancestry!, position!, H),
    keys: keys!,
    values: values!,
  }),
  work: ({ R, T, H, D }) => ({ bytes: 4 * 2 * T * R * H * D, operations: 4 * T * R * H * D }),
  tolerance: 1e-5,
});

function ownAtTheEnd({ shape, data }: InputArray): InputArray {
  const [R, T] = shape as [number, number];
  return { shape, data: Uint32Array.from(data, (row, i) => (i % T === T - 1 ? Math.floor(i / T) % R : row)) };
}
