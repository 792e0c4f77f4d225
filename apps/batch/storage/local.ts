import { randomUUID } from "node:crypto";
import { link, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
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
      if (name.endsWith(TEMPORARY)) continue;
      const stats = await stat(join(this.folder, folder, name)).catch(() => undefined);
      if (stats?.isFile()) found.push({ name: `${folder}/${name}`, bytes: stats.size });
    }
    return found;
  }

  async create(name: string, content: Uint8Array): Promise<boolean> {
    return this.#write(name, content, async (temporary, target) => {
      try {
        await link(temporary, target);
        return true;
      } catch (error) {
        if (codeOf(error) === "EEXIST") return false;
        if (!NO_LINKS.includes(codeOf(error))) throw error;
        // A file system without links: of two writers the last one wins, with the same content.
        await rename(temporary, target);
        return true;
      }
    });
  }

  async replace(name: string, content: Uint8Array): Promise<void> {
    await this.#write(name, content, async (temporary, target) => {
      await rename(temporary, target);
      return true;
    });
  }

  async remove(name: string): Promise<void> {
    await rm(join(this.folder, name), { force: true });
  }

  async #write(
    name: string,
    content: Uint8Array,
    place: (temporary: string, target: string) => Promise<boolean>,
  ): Promise<boolean> {
    const target = join(this.folder, name);
    const temporary = `${target}.${randomUUID()}${TEMPORARY}`;
    try {
      await mkdir(dirname(target), { recursive: true });
      const file = await open(temporary, "wx");
      try {
        await file.writeFile(content);
        await file.sync();
      } finally {
        await file.close();
      }
      const isNew = await place(temporary, target);
      await syncFolder(dirname(target));
      return isNew;
    } catch (error) {
      throw unusable(this.folder, name, error);
    } finally {
      await rm(temporary, { force: true });
    }
  }
}

const TEMPORARY = ".tmp";
const NO_LINKS = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"];

/** Makes new names in a folder outlast a loss of power; Windows has no such call. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r").catch(() => undefined);
  await folder?.sync().catch(() => {});
  await folder?.close();
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException | undefined)?.code ?? "";

function unusable(folder: string, name: string, cause: unknown): Florence2Error {
  const isFull = ["ENOSPC", "EDQUOT", "EFBIG"].includes(codeOf(cause));
  const remedy = isFull ? " The disk is full: free some space, then start the same command again." : "";
  const message = `${join(folder, name)} cannot be used: ${(cause as Error).message}.${remedy}`;
  return new Florence2Error("file_unreadable", message, { folder, name, reason: codeOf(cause) }, cause);
}
