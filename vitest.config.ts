import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that take most of a minute or more, the longest first. A clean checkout has no record of it. */
const LONG_FILES = [
  "tests/kernels/kernels.test.ts",
  "tests/model/full_size.test.ts",
  "tests/model/nano.test.ts",
  "tests/browser/model.test.ts",
  "apps/batch/tests/servers/redis.test.ts",
  "apps/batch/tests/servers/postgres.test.ts",
  "apps/batch/tests/queue_faults/redis.test.ts",
  "apps/batch/tests/queue_faults/postgres.test.ts",
  "tests/kernels/matmul.test.ts",
  "apps/playground/tests/failures.test.ts",
  "apps/playground/tests/tasks.test.ts",
  "tests/model/dispose.test.ts",
  "tests/commands/cli.test.ts",
];

/** Begins with the long files, so that none of them runs on alone at the end. */
class LongFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const index = LONG_FILES.findIndex((file) => moduleId.endsWith(file));
      return index < 0 ? LONG_FILES.length : index;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts", "apps/*/tests/**/*.test.ts"],
    globalSetup: ["tests/support/temporary_folder.ts", "tests/support/compile_kernels.ts"],
    // The first run on a machine compiles every shader, on software Vulkan for seconds each.
    testTimeout: 1_800_000,
    hookTimeout: 1_800_000,
    pool: "forks",
    // One more than the processors of CI: many tests wait for other processes or for a time to pass.
    maxWorkers: 3,
    sequence: { sequencer: LongFilesFirst },
  },
});
