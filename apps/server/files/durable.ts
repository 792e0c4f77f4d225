import { open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** Writes a file so that after a crash there is the old content or the new, never a part. */
export async function writeWhole(path: string, content: string): Promise<void> {
  const temporary = `${path}.${process.pid}.part`;
  const file = await open(temporary, "w");
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await moveWhole(temporary, path);
}

/** Renames a file, and sees to it that the new name is on the disk. */
export async function moveWhole(from: string, to: string): Promise<void> {
  await rename(from, to);
  // Windows opens no folders.
  if (process.platform === "win32") return;
  const folder = await open(dirname(to), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export async function readJsonFile<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
