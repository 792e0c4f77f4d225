import { kernelCases } from "../../core/kernel_cases.ts";
import { cachedAttention, cachedAttentionKernel } from "./cached_attention.ts";

export default kernelCases(cachedAttentionKernel, {
  cases: [
    { name: "base, 3 beams", R: 3, T: 128, H: 12, D: 64 },
    { name: "large, 5 beams of 2 pictures", R: 10, T: 64, H: 16, D: 64 },
    { name: "first step", R: 2, T: 1, H: 2, D: 12 },
    { name: "ragged", R: 3, T: 70, H: 3, D: 7 },
  ],
  inputs: ({ R, T, H, D }, random) => ({
    q: random.normal(R, 3 * H * D),
    keys: random.normal(T, R, H * D),
    values: random.normal(T, R, H * D),
    ancestry: random.integers(R, R, T),
    // The last step that the caches hold.
    position: { shape: [1], data: Uint32Array.of(T - 1) },
  }),
  record: (rec, { q, keys, values, ancestry, position }, { H }) => ({
    out: cachedAttention(rec, q!, keys!, values!, ancestry!, position!, H),
  }),
  work: ({ R, T, H, D }) => ({ bytes: 4 * 2 * T * R * H * D, operations: 4 * T * R * H * D }),
  tolerance: 1e-5,
});
