/** A reporter of Vitest: writes how many tests passed, failed and were skipped to the file FLORENCE2_TEST_COUNTS. */
import { writeFileSync } from "node:fs";

export default class {
  onTestRunEnd(modules) {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    for (const { children } of modules) for (const test of children.allTests()) counts[test.result().state]++;
    writeFileSync(process.env.FLORENCE2_TEST_COUNTS, JSON.stringify(counts));
  }
}
