import { kernelCases } from "../shared/kernel_cases.ts";
import { windowAttention, windowAttentionKernel } from "./window_attention.ts";

export default kernelCases(windowAttentionKernel, {
  cases: [
    { name: "a band of stage 1 of base", height: 24, width: 192, heads: 4, D: 32, window: 12 },
    { name: "stage 3 of base", height: 48, width: 48, heads: 16, D: 32, window: 12 },
    { name: "stage 4 of large", height: 24, width: 24, heads: 64, D: 32, window: 12 },
    { name: "padded right and below", height: 14, width: 28, heads: 2, D: 32, window: 12 },
    { name: "odd window", height: 8, width: 15, heads: 3, D: 32, window: 7 },
    { name: "ragged head, odd window", height: 8, width: 15, heads: 3, D: 36, window: 7 },
    { name: "widest head and window", height: 16, width: 17, heads: 1, D: 64, window: 16 },
    { name: "one token, mostly padding", height: 1, width: 1, heads: 2, D: 4, window: 3 },
    { name: "windows of one token", height: 2, width: 3, heads: 1, D: 4, window: 1 },
  ],
  inputs: ({ height, width, heads, D }, random) => ({
    qkv: random.normal(height * width, 3 * heads * D),
    qkvBias: random.normal(3 * heads * D),
    out: random.normal(height * width, heads * D),
  }),
  record: (rec, { qkv, qkvBias, out }, { height, width, heads, window }) => {
    windowAttention(rec, qkv!, qkvBias!, { height, width, heads, window, out: out! });
    return { out: out! };
  },
  work: ({ height, width, heads, D, window }) => ({
    bytes: 4 * (4 * height * width + 3) * heads * D,
    operations: height * width * heads * window * window * (4 * D + 3),
  }),
  tolerance: 1e-5,
});
