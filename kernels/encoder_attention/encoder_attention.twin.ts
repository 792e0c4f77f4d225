import type { Twin } from "../../core/kernel.ts";
import type { signature } from "./encoder_attention.ts";
export const encoderAttentionTwin: Twin<typeof signature> = ({ qkv, out }, { tokens }, { D, H }) => {
  const d = D * H;
  const stride = 3 * d;
  const scores = new Float64Array(tokens);
  for (let h = 0; h < H; h++) {
    for (let i = 0; i < tokens; i++) {
      const q = i * stride + h * D;
      let largest = -Infinity;
      for (let j = 0; j < tokens; j++) {
        const k = j * stride + d + h * D;
        let score = 0;
        for (let c = 0; c < D; c++) score += qkv[q + c]! * qkv[k + c]!;
        scores[j] = score / Math.sqrt(D);
        largest = Math.max(largest, scores[j]!);
      }
      let sum = 0;
      for (let j = 0; j < tokens; j++) {
        scores[j] = Math.exp(scores[j]! - largest);
        sum += scores[j]!;
      }
      for (let c = 0; c < D; c++) {
        let mean = 0;
        for (let j = 0; j < tokens; j++) mean += scores[j]! * qkv[j * stride + 2 * d + h * D + c]!;
        out[i * d + h * D + c] = mean / sum;
      }
    }
  }
};
