import * as fs from "node:fs/promises";
import { hostname } from "node:os";
import { pause } from "./requests.ts";

/** Milliseconds between two signs of life of an owner, and without one until it counts as gone. */
const BEAT = 2_000;
const SILENCE = 20_000;
const POLL = 100;

/**
 * Runs `body` in one process at a time. A lock is a file with its owner's process and host; that of a dead
 * process, and of one that gives no sign of life, is taken over. Two that take it over in the same moment
 * both go on: the lock saves traffic, and nothing may be wrong without it.
 */
export async function withLock<T>(
  path: string,
  signal: AbortSignal | undefined,
  body: () => Promise<T>,
): Promise<T> {
  await acquire(path, signal);
  const beat = setInterval(() => void fs.utimes(path, new Date(), new Date()).catch(() => {}), BEAT);
  try {
    return await body();
  } finally {
    clearInterval(beat);
    await fs.rm(path, { force: true });
  }
}

async function acquire(path: string, signal: AbortSignal | undefined): Promise<void> {
  const own = JSON.stringify({ pid: process.pid, host: hostname() });
  let seen = "";
  let since = performance.now();
  for (;;) {
    try {
      return await fs.writeFile(path, own, { flag: "wx" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const owner = await fs.readFile(path, "utf8").catch(() => "");
    const { mtimeMs } = await fs.stat(path).catch(() => ({ mtimeMs: 0 }));
    // Compared with what it was, not with this machine's clock: the file system may have another.
    const state = `${owner} ${mtimeMs}`;
    if (state !== seen) [seen, since] = [state, performance.now()];
    if (isDead(owner) || performance.now() - since > SILENCE) await fs.rm(path, { force: true });
    else await pause(POLL, signal);
  }
}

/** Whether the owner is known to run no more: on another host, that cannot be seen. */
function isDead(owner: string): boolean {
  try {
    const { pid, host } = JSON.parse(owner) as { pid: number; host: string };
    if (host === hostname()) process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
