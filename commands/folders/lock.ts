import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { Florence2Error } from "../../core/errors.ts";
import { unwritable } from "./replace_file.ts";

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** When the process began, where the system tells it: numbers of processes come again. */
  readonly began: string;
}

/**
 * Keeps a folder of results to one run at a time. A run that was killed holds nothing.
 *
 * @returns gives the folder free
 * @throws {Florence2Error} `file_unwritable` if another run is writing there
 */
export function lockFolder(folder: string): () => void {
  const path = join(folder, ".florence2-lock");
  const own = JSON.stringify(holderOf(process.pid));
  const take = () => writeFileSync(path, own, { flag: "wx" });
  try {
    take();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw unwritable(path, error);
    const holder = readHolder(path);
    if (holder && isRunning(holder)) {
      const message =
        `${folder} is being written by another run, process ${holder.pid} on ${holder.host}. ` +
        `Wait for its end, or choose another folder with --out. If there is no such run, delete ${path}.`;
      throw new Florence2Error("file_unwritable", message, { folder, ...holder });
    }
    rmSync(path, { force: true });
    take();
  }
  return () => {
    if (readHolder(path)?.pid === process.pid) rmSync(path, { force: true });
  };
}

function holderOf(pid: number): Holder {
  return { pid, host: hostname(), began: beginOf(pid) };
}

/** Of another machine nothing is known: its run counts as running. */
function isRunning({ pid, host, began }: Holder): boolean {
  if (host !== hostname()) return true;
  if (pid === process.pid && began === beginOf(pid)) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  return began === beginOf(pid);
}

function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Holder;
  } catch {
    return undefined;
  }
}

/** The start of a process in ticks since the machine's (proc(5), field 22 of stat), "" where that is not told. */
function beginOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}
