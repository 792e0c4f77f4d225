import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("./fake_worker.mjs", import.meta.url));

export interface StartedWorker {
  readonly process: ChildProcess;
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** Of standard error so far. */
  output(): string;
}

/** The built program in a process of its own, on the made-up model of `fake_worker.mjs`. */
export function startWorker(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  [runtime, ...options]: readonly [string, ...string[]] = [process.execPath],
): StartedWorker {
  const child = spawn(runtime, [...options, program, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...env },
  });
  let text = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const ended = new Promise<number | string>((done) =>
    child.once("exit", (code, signal) => done(code ?? signal!)),
  );
  return { process: child, ended, output: () => text };
}

/** Waits until something holds. The limit is for what never comes to hold, not for slow machines. */
export async function until(holds: () => boolean | Promise<boolean>, milliseconds = 600_000): Promise<void> {
  const end = Date.now() + milliseconds;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error("it did not come to hold in time");
    await new Promise((wake) => setTimeout(wake, 50));
  }
}
