/** Atomic writes: a file is whole or absent, even if the process or the machine dies meanwhile. */
import { randomUUID } from "node:crypto";
import { link, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** Ends the name of a file that is being written. */
export const UNFINISHED = ".part";

/** Writes a file so that after a crash there is the old content or the new, never a part. */
export function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  return writeBeside(path, content, (temporary) => moveWhole(temporary, path));
}

/** Writes a file that must not be there. False if it was: of several writers the first one wins. */
export function createWhole(path: string, content: string | Uint8Array): Promise<boolean> {
  return writeBeside(path, content, async (temporary) => {
    try {
      await link(temporary, path);
    } catch (error) {
      if (codeOf(error) === "EEXIST") return false;
      if (!NO_LINKS.includes(codeOf(error))) throw error;
      // A file system without links: of two writers the last one wins.
      await rename(temporary, path);
    }
    await syncFolder(dirname(path));
    return true;
  });
}

/** Renames a file, and sees to it that the new name is on the disk. */
export async function moveWhole(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncFolder(dirname(to));
}

/** Undefined if there is none. */
export async function readJsonFile<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as T;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

export const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException | undefined)?.code ?? "";

/** No space is left, on the disk or for this user. */
export const FULL = ["ENOSPC", "EDQUOT"];

const NO_LINKS = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"];

async function writeBeside<T>(
  path: string,
  content: string | Uint8Array,
  place: (temporary: string) => Promise<T>,
): Promise<T> {
  const temporary = `${path}.${randomUUID()}${UNFINISHED}`;
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    return await place(temporary);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Makes new names in a folder outlast a loss of power; Windows has no such call. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
