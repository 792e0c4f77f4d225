import * as fs from "node:fs/promises";
import { hostname } from "node:os";
import { pause } from "./requests.ts";

const POLL = 100;

export interface LockOptions {
  /** Milliseconds without a sign of life after which an owner counts as gone. */
  readonly silence: number;
  readonly signal?: AbortSignal;
}

/**
 * Runs `body` in one process at a time, so that each waits for what another downloads. A lock is a file that
 * names its owner's process and host. That of a dead process, and of one that gives no sign of life, is taken
 * over; in the latter case `body` is told that the owner may go on one day. Nothing may be wrong without the
 * lock: two that take it over in the same moment both go on.
 */
export async function withLock(
  path: string,
  options: LockOptions,
  body: (isOwnerAlive: boolean) => Promise<void>,
): Promise<void> {
  const isOwnerAlive = await acquire(path, options);
  const beat = () => void fs.utimes(path, new Date(), new Date()).catch(() => {});
  const beats = setInterval(beat, options.silence / 8);
  try {
    await body(isOwnerAlive);
  } finally {
    clearInterval(beats);
    await fs.rm(path, { force: true });
  }
}

/** Whether an earlier owner was only silent. */
async function acquire(path: string, { silence, signal }: LockOptions): Promise<boolean> {
  const own = JSON.stringify({ pid: process.pid, host: hostname() });
  let isOwnerAlive = false;
  let seen = "";
  let since = performance.now();
  for (;;) {
    try {
      await fs.writeFile(path, own, { flag: "wx" });
      return isOwnerAlive;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const owner = await fs.readFile(path, "utf8").catch(() => "");
    const { mtimeMs } = await fs.stat(path).catch(() => ({ mtimeMs: 0 }));
    // Compared with what it was, not with this machine's clock: the file system may have another.
    const state = `${owner} ${mtimeMs}`;
    if (state !== seen) [seen, since] = [state, performance.now()];
    const isSilent = performance.now() - since > silence;
    if (isSilent || isDead(owner)) {
      isOwnerAlive ||= !isDead(owner);
      await fs.rm(path, { force: true });
    } else await pause(POLL, signal);
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
