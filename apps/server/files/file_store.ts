import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { ApiError } from "../http/errors.ts";
import { createWhole, moveWhole, readJsonFile, UNFINISHED } from "./durable.ts";
import { makeFolder } from "./make_folder.ts";

/** An uploaded or computed file, as clients see it. Times in seconds. */
export interface StoredFile {
  readonly id: string;
  readonly object: "file";
  readonly bytes: number;
  readonly created_at: number;
  readonly expires_at: number | null;
  readonly filename: string;
  readonly purpose: string;
  readonly status: "processed";
}

export interface NewFile {
  readonly filename: string;
  readonly purpose: string;
  /** Seconds from now. */
  readonly expiresAfter?: number;
  /** Of a file whose id was decided before. */
  readonly id?: string;
}

const ID = /^file-[0-9a-f]{32}$/;
const BATCH_SECONDS = 30 * 24 * 3600;

export const newFileId = (): string => `file-${randomUUID().replaceAll("-", "")}`;

/** A file that is still being written after this time, in milliseconds, was left by a crash. */
const ABANDONED = 3600_000;

/**
 * Files in a folder: `ID.bin` holds the content, `ID.json` its metadata, written last. Several servers may share
 * the folder: what is there is read anew each time.
 */
export class FileStore {
  readonly #folder: string;
  readonly #maxStorage: number;
  /** By id; the metadata of a file never changes. */
  readonly #known = new Map<string, StoredFile>();
  #opened: Promise<void> | undefined;

  constructor(folder: string, maxStorage: number) {
    this.#folder = folder;
    this.#maxStorage = maxStorage;
  }

  /** All that have not expired, oldest first. */
  async list(): Promise<StoredFile[]> {
    await this.#open();
    const files: StoredFile[] = [];
    for (const name of await readdir(this.#folder)) {
      if (!name.endsWith(".json")) continue;
      const id = name.slice(0, -".json".length);
      const file = this.#known.get(id) ?? (await this.#read(id));
      if (file && isOver(file)) await this.delete(id);
      else if (file) files.push(file);
    }
    return files.sort((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : 1));
  }

  async find(id: string): Promise<StoredFile | undefined> {
    await this.#open();
    const file = await this.#read(id);
    if (!file || !isOver(file)) return file;
    await this.delete(id);
    return undefined;
  }

  /** @throws {ApiError} 404 */
  async get(id: string, param?: string): Promise<StoredFile> {
    const file = await this.find(id);
    if (!file) throw new ApiError(404, "file_not_found", "There is no file of this id.", { param });
    return file;
  }

  /** The bytes left for new files. */
  async room(): Promise<number> {
    const files = await this.list();
    return this.#maxStorage - files.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Where a file may be written that `adopt` then takes. */
  async temporaryPath(): Promise<string> {
    await this.#open();
    return join(this.#folder, `${randomUUID()}${UNFINISHED}`);
  }

  /** Makes a file of this folder's disk one of the store. Again with the same id, it changes nothing. */
  async adopt(
    path: string,
    { filename, purpose, expiresAfter, id = newFileId() }: NewFile,
  ): Promise<StoredFile> {
    const known = await this.find(id);
    if (known) {
      await rm(path, { force: true });
      return known;
    }
    const content = this.contentPath(id);
    // After a crash between the two steps the content is there already.
    await moveWhole(path, content).catch(async (error) => {
      if (!(await stat(content).catch(() => undefined))) throw error;
    });
    const created = Math.floor(Date.now() / 1000);
    const seconds = expiresAfter ?? (purpose === "batch" ? BATCH_SECONDS : undefined);
    const file: StoredFile = {
      id,
      object: "file",
      bytes: (await stat(content)).size,
      created_at: created,
      expires_at: seconds === undefined ? null : created + seconds,
      filename,
      purpose,
      status: "processed",
    };
    if (await createWhole(this.#factsPath(id), JSON.stringify(file))) return file;
    return (await this.#read(id)) ?? file;
  }

  async delete(id: string): Promise<void> {
    this.#known.delete(id);
    await rm(this.#factsPath(id), { force: true });
    await rm(this.contentPath(id), { force: true });
  }

  /** The content of a file of at most `maxBytes`; undefined if there is none of this id. */
  async read(id: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const file = await this.find(id);
    if (!file) return undefined;
    if (file.bytes > maxBytes)
      throw new ApiError(
        413,
        "image_too_large",
        `The file has ${file.bytes} bytes; at most ${maxBytes} are taken.`,
      );
    return readFile(this.contentPath(id));
  }

  stream(id: string): NodeJS.ReadableStream {
    return createReadStream(this.contentPath(id));
  }

  /** Of a file that `find` knows; ids of other forms reach no path. */
  contentPath(id: string): string {
    if (!ID.test(id)) throw new ApiError(404, "file_not_found", "There is no file of this id.");
    return join(this.#folder, `${id}.bin`);
  }

  #open(): Promise<void> {
    this.#opened ??= this.#prepareFolder();
    return this.#opened;
  }

  #factsPath = (id: string): string => join(this.#folder, `${id}.json`);

  async #read(id: string): Promise<StoredFile | undefined> {
    const file = ID.test(id) ? await readJsonFile<StoredFile>(this.#factsPath(id)) : undefined;
    if (file) this.#known.set(id, file);
    else this.#known.delete(id);
    return file;
  }

  async #prepareFolder(): Promise<void> {
    makeFolder(this.#folder, 0o700);
    for (const name of await readdir(this.#folder)) {
      if (!name.endsWith(UNFINISHED)) continue;
      const path = join(this.#folder, name);
      const { mtimeMs } = (await stat(path).catch(() => undefined)) ?? {};
      if (mtimeMs !== undefined && mtimeMs < Date.now() - ABANDONED) await rm(path, { force: true });
    }
  }
}

const isOver = ({ expires_at }: StoredFile) => expires_at !== null && expires_at <= Date.now() / 1000;
