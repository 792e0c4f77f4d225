import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts", "apps/*/tests/**/*.test.ts"],
    globalSetup: "tests/support/compile_kernels.ts",
    // The first run on a machine compiles every shader, on software Vulkan for seconds each.
    testTimeout: 1_800_000,
    hookTimeout: 1_800_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
