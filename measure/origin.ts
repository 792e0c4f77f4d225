import { execFileSync } from "node:child_process";
import { cpus, loadavg } from "node:os";
import { packageFile } from "../files/package_files.ts";
import { HOST_CLOCK } from "./watch.ts";

/** Where and when something was measured. */
export interface Origin {
  readonly adapter: string;
  readonly processor: string;
  readonly processors: number;
  /** Processes that wanted a processor before the bench began, as the mean of a minute. */
  readonly load: number;
  readonly runtime: string;
  readonly hostClock: string;
  readonly commit: string;
  readonly date: string;
}

export function originOf(adapter: string): Origin {
  const processors = cpus();
  return {
    adapter,
    processor: processors[0]?.model ?? "unknown",
    processors: processors.length,
    load: loadavg()[0]!,
    runtime: `Node ${process.version}, ${process.platform} ${process.arch}`,
    hostClock: HOST_CLOCK,
    commit: currentCommit(),
    date: new Date().toISOString(),
  };
}

/** The commit that was measured, marked when files differ from it; empty outside of a checkout. */
function currentCommit(): string {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], {
      cwd: packageFile("."),
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "";
  }
}
