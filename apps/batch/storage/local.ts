import { readdir, readFile, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { codeOf, createWhole, makeFolder, UNFINISHED, writeWhole } from "florence2-server/chunks";
import { Florence2Error } from "florence2-webgpu";
import type { Storage, StoredFile } from "./storage.ts";

/** A folder, on a disk of this machine or one that several machines share. */
export class LocalStorage implements Storage {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  get url(): string {
    return this.folder;
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    try {
      return await readFile(join(this.folder, name));
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw unusable(this.folder, name, error);
    }
  }

  async has(name: string): Promise<boolean> {
    return (await stat(join(this.folder, name)).catch(() => undefined)) !== undefined;
  }

  async list(folder: string): Promise<StoredFile[]> {
    const names = await readdir(join(this.folder, folder)).catch((error: unknown) => {
      if (codeOf(error) === "ENOENT") return [];
      throw unusable(this.folder, folder, error);
    });
    const found: StoredFile[] = [];
    for (const name of names.sort()) {
      // A file that is still being written, or is gone by now, is not there.
      if (name.endsWith(UNFINISHED)) continue;
      const stats = await stat(join(this.folder, folder, name)).catch(() => undefined);
      if (stats?.isFile()) found.push({ name: `${folder}/${name}`, bytes: stats.size });
    }
    return found;
  }

  create(name: string, content: Uint8Array): Promise<boolean> {
    return this.#write(name, (path) => createWhole(path, content));
  }

  replace(name: string, content: Uint8Array): Promise<void> {
    return this.#write(name, (path) => writeWhole(path, content));
  }

  async expectBucket(): Promise<void> {}

  async remove(name: string): Promise<void> {
    await rm(join(this.folder, name), { force: true });
  }

  async #write<T>(name: string, write: (path: string) => Promise<T>): Promise<T> {
    const path = join(this.folder, name);
    try {
      makeFolder(dirname(path));
      return await write(path);
    } catch (error) {
      throw unusable(this.folder, name, error);
    }
  }
}

function unusable(folder: string, name: string, cause: unknown): Florence2Error {
  const isFull = ["ENOSPC", "EDQUOT", "EFBIG"].includes(codeOf(cause));
  const isNoPlace = ["EROFS", "EACCES", "EPERM", "ENOENT", "ENOTDIR", "EEXIST"].includes(codeOf(cause));
  const remedy = isFull
    ? " The disk is full: free some space, then start the same command again."
    : isNoPlace
      ? " Name a folder that can be written."
      : "";
  const message = `${join(folder, name)} cannot be used: ${(cause as Error).message}.${remedy}`;
  return new Florence2Error("file_unreadable", message, { folder, name, reason: codeOf(cause) }, cause);
}
