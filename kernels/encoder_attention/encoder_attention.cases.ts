import { kernelCases } from "../shared/kernel_cases.ts";
import { encoderAttention, encoderAttentionKernel } from "./encoder_attention.ts";

export default kernelCases(encoderAttentionKernel, {
  cases: [
    { name: "base", S: 587, H: 12, D: 64 },
    { name: "two heads of large", S: 600, H: 2, D: 64 },
    { name: "widest heads", S: 20, H: 1, D: 128 },
    { name: "a token more than blocks of keys are long", S: 129, H: 3, D: 32 },
    { name: "ragged", S: 67, H: 3, D: 20 },
    { name: "one token", S: 1, H: 1, D: 8 },
  ],
  inputs: ({ S, H, D }, random) => ({ qkv: random.normal(S, 3 * H * D) }),
  record: (rec, { qkv }, { H }) => ({ out: encoderAttention(rec, qkv!, H) }),
  work: ({ S, H, D }) => ({ bytes: 4 * 4 * S * H * D, operations: 4 * S * S * H * D }),
  tolerance: 1e-5,
});
