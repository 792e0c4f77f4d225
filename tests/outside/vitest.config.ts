/** `npm run test:outside`: the packed package in a folder of its own, with other people's tools. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/outside/*.outside.ts"],
    globalSetup: ["tests/outside/folder.ts"],
    testTimeout: 1_800_000,
    hookTimeout: 1_800_000,
    fileParallelism: false,
  },
});
