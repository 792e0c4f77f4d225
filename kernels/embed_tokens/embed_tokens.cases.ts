import { kernelCases } from "../shared/kernel_cases.ts";
import { embedTokens, embedTokensKernel } from "./embed_tokens.ts";

export default kernelCases(embedTokensKernel, {
  cases: [
    { name: "decoder step of base, 3 beams", n: 3, V: 51289, d: 768, advance: 0 },
    { name: "prompt", n: 13, V: 2000, d: 768, advance: 1 },
    { name: "ragged", n: 5, V: 11, d: 12, advance: 1 },
  ] as const,
  inputs: ({ n, V, d }, random) => ({
    ids: random.integers(V, n),
    table: random.normal(V, d),
    positions: random.normal(40, d),
    position: random.integers(20, 1),
    out: random.normal(n + 2, d),
  }),
  record: (rec, { ids, table, positions, position, out }, { advance }) => {
    embedTokens(rec, ids!, table!, positions!, position!, {
      firstPosition: 2,
      advance,
      out: out!,
      outRow: 1,
    });
    return { out: out! };
  },
  weights: ["table"],
  work: ({ n, d }) => ({ bytes: 4 * 3 * n * d, operations: n * d }),
  tolerance: 1e-6,
});
