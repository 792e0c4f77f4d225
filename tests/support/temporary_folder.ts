import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** One folder for all temporary files of a run, and of the processes that it starts. It goes with the run. */
export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "florence2-tests-"));
  // PostgreSQL runs as a user of its own, and passes through.
  chmodSync(folder, 0o711);
  process.env.TMPDIR = folder;
  return () => rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
}
