/**
 * Python's cache of a hub, shared with it in both directions (huggingface_hub 2.4, file_download.py):
 *
 *     models--org--name/blobs/<etag>              the files, by content
 *     models--org--name/snapshots/<commit>/<name> links to them
 *     models--org--name/refs/<revision>           the commit that a branch or tag last was
 *     models--org--name/.no_exist/<commit>/<name> files that the repository does not have
 *
 * A file gets its name under blobs in one step, after its size and, where the hub names it by its SHA-256,
 * its content were checked. Until then it is <etag>.incomplete, where the next download goes on.
 */
import { randomUUID } from "node:crypto";
import * as fs from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { Florence2Error } from "../../core/errors.ts";
import { openFile, type RangedFile } from "../files.ts";
import { makeFolder } from "../make_folder.ts";
import { sha256Of } from "../sha256.ts";
import type { HubEnvironment } from "./environment.ts";
import { withLock } from "./lock.ts";
import type { Progress } from "./progress.ts";
import { downloadFailed, isCommit, type Repository } from "./repository.ts";
import { download, type FileInfo, fileInfo, type Sink } from "./requests.ts";

/** A file of the repository at a commit: in the cache, noted there as missing, or on the hub. */
type Found =
  | { readonly kind: "cached"; readonly path: string; readonly size: number }
  | { readonly kind: "missing" }
  | ({ readonly kind: "remote"; readonly commit: string; readonly etag: string } & Pick<FileInfo, "size">);

export class DiskCache {
  readonly #repository: Repository;
  readonly #cacheFolder: string;
  readonly #progress: Progress;
  readonly #warn: (message: string) => void;
  readonly #found = new Map<string, Promise<Found>>();
  /** All files are taken from one commit: the one that the revision is at the first look. */
  #commit: string | undefined;
  #isReachable = true;
  #isOffline: boolean;

  constructor(
    repository: Repository,
    { cacheFolder, isOffline }: Pick<HubEnvironment, "cacheFolder" | "isOffline">,
    progress: Progress,
    warn: (message: string) => void,
  ) {
    this.#repository = repository;
    this.#cacheFolder = cacheFolder;
    this.#progress = progress;
    this.#warn = warn;
    this.#isOffline = isOffline;
    if (isCommit(repository.revision)) this.#commit = repository.revision;
  }

  /** Whether there is such a file, here or on the hub. Its size counts in the progress from then on. */
  async has(name: string): Promise<boolean> {
    const found = await this.#find(name);
    if (found.kind !== "missing" && found.size !== undefined) this.#progress.expect(name, found.size);
    return found.kind !== "missing";
  }

  /**
   * The file, fetched if need be. Throws file_not_found where the repository has none, repository_not_found,
   * access_denied, download_failed, and cache_unwritable.
   */
  async open(name: string): Promise<RangedFile> {
    this.#progress.step("initiate", name);
    const found = await this.#find(name);
    if (found.kind === "missing") {
      const { id, revision } = this.#repository;
      const remedy = this.#isReachable ? "Unset HF_HUB_OFFLINE to download it" : "The hub cannot be reached";
      const place = this.#isOffline ? ` in ${this.#cacheFolder}. ${remedy}` : "";
      const message = `There is no ${name} of ${id}, revision ${revision}${place}.`;
      throw new Florence2Error("file_not_found", message, { repository: id, revision, file: name });
    }
    if (found.kind === "cached") this.#progress.advance(name, found.size, found.size);
    const path = found.kind === "cached" ? found.path : await this.#fetch(name, found);
    this.#progress.step("done", name);
    return openFile(path, { signal: this.#repository.signal });
  }

  async #find(name: string): Promise<Found> {
    const found = this.#found.get(name) ?? this.#look(name);
    this.#found.set(name, found);
    found.catch(() => this.#found.delete(name));
    return found;
  }

  async #look(name: string): Promise<Found> {
    const { revision, signal } = this.#repository;
    const commit = this.#commit ?? (await this.#referred());
    const here = commit === undefined ? undefined : await this.#cached(commit, name);
    if (this.#isOffline) return here ?? { kind: "missing" };
    const isFinal = commit === revision || !this.#isReachable || (here?.kind === "missing" && this.#commit);
    if (here && isFinal) return here;
    try {
      // With a copy at hand, a network that is down is not waited for.
      return await this.#lookOnHub(name, here ? 1 : undefined);
    } catch (error) {
      signal?.throwIfAborted();
      if (!here && this.#isReachable) throw error;
      if (this.#isReachable) this.#warn(`${(error as Error).message} Using what was downloaded before.`);
      // Without this file then, but without later ones, too: never a mixture of what happened to arrive.
      if (!here) this.#isOffline = true;
      this.#isReachable = false;
      this.#commit = commit;
      return here ?? { kind: "missing" };
    }
  }

  async #lookOnHub(name: string, attempts: number | undefined): Promise<Found> {
    const repository = this.#repository;
    let info: FileInfo;
    try {
      info = await fileInfo(repository, this.#commit ?? repository.revision, name, attempts);
    } catch (error) {
      if (!(error instanceof Florence2Error && error.code === "file_not_found")) throw error;
      const isCertain = error.details.reason === "EntryNotFound";
      if (this.#commit && isCertain) await this.#noteMissing(this.#commit, name);
      return { kind: "missing" };
    }
    const { commit, etag, size } = info;
    if (!commit || !isCommit(commit) || !etag || !/^\w[\w.-]{0,127}$/.test(etag)) {
      const problem = "what answers there is no hub (no commit and etag in its headers)";
      throw downloadFailed(repository, name, problem, { isTransient: false });
    }
    if (!this.#commit) await this.#refer(commit);
    this.#commit ??= commit;
    const here = await this.#cached(this.#commit, name);
    const isWhole = here?.kind === "cached" && (size === undefined || here.size === size);
    return isWhole ? here : { kind: "remote", commit: this.#commit, etag, size };
  }

  async #fetch(name: string, { commit, etag, size }: Found & { kind: "remote" }): Promise<string> {
    this.#progress.step("download", name);
    const blob = join(this.#folder, "blobs", etag);
    const partial = `${blob}.incomplete`;
    const pointer = this.#pointer("snapshots", commit, name);
    const locks = join(this.#cacheFolder, ".locks", this.#folderName);
    try {
      for (const folder of [dirname(blob), dirname(pointer), locks]) makeFolder(folder);
      const { signal, persistence } = this.#repository;
      const lock = join(locks, `${etag}.owner`);
      await withLock(lock, { signal, silence: 2 * persistence.silence }, async (isOwnerAlive) => {
        const present = await fileSize(blob);
        if (present && (size === undefined || present === size)) return;
        // The other process may still write to its open file: this download begins a new one.
        if (isOwnerAlive) await fs.rm(partial, { force: true });
        await this.#download(name, commit, etag, size, partial);
        await fs.rename(partial, blob);
      });
      await link(blob, pointer);
    } catch (error) {
      throw this.#explained(error);
    }
    const found = { kind: "cached", path: pointer, size: (await fileSize(pointer))! } as const;
    this.#found.set(name, Promise.resolve(found));
    this.#progress.advance(name, found.size, found.size);
    return pointer;
  }

  async #download(
    name: string,
    commit: string,
    etag: string,
    size: number | undefined,
    path: string,
  ): Promise<void> {
    const repository = this.#repository;
    const isHashed = /^[0-9a-f]{64}$/.test(etag);
    const handle = await fs.open(path, fs.constants.O_RDWR | fs.constants.O_CREAT);
    try {
      const sink = await sinkInto(handle);
      // Without a checksum, an earlier process's part of the file is not continued.
      if (!isHashed) await sink.truncate(0);
      await this.#checkSpace(path, (size ?? 0) - (await sink.length()));
      for (let isLast = false; ; isLast = true) {
        await download(repository, commit, name, sink, size, (loaded, total) =>
          this.#progress.advance(name, loaded, total),
        );
        await handle.sync();
        const named = await fs.stat(path).catch(() => undefined);
        if (named?.ino !== (await handle.stat()).ino) {
          const problem = "another process took the download over";
          throw downloadFailed(repository, name, problem, { isTransient: true });
        }
        const found = isHashed ? await sha256Of(path, repository.signal) : etag;
        if (found === etag) return;
        await sink.truncate(0);
        const problem = `its SHA-256 is ${found} instead of ${etag}`;
        if (isLast) throw downloadFailed(repository, name, problem, { isTransient: true });
      }
    } catch (error) {
      if (isSystemError(error)) await fs.rm(path, { force: true });
      throw error;
    } finally {
      await handle.close();
    }
  }

  async #checkSpace(path: string, needed: number): Promise<void> {
    const { bavail, bsize, blocks } = await fs.statfs(dirname(path));
    // Some network file systems do not tell.
    if (blocks === 0 || bavail * bsize >= needed) return;
    throw this.#unwritable(`${needed} bytes are needed, ${bavail * bsize} are free`);
  }

  /** The file at a commit as far as the cache knows. */
  async #cached(commit: string, name: string): Promise<Found | undefined> {
    const path = this.#pointer("snapshots", commit, name);
    const size = await fileSize(path);
    if (size) return { kind: "cached", path, size };
    return (await fileSize(this.#pointer(".no_exist", commit, name))) === undefined
      ? undefined
      : { kind: "missing" };
  }

  /** The commit that the revision was when the hub was last asked. */
  async #referred(): Promise<string | undefined> {
    const text = await fs.readFile(this.#pointer("refs", this.#repository.revision), "utf8").catch(() => "");
    return isCommit(text.trim()) ? text.trim() : undefined;
  }

  /** Notes spare requests; where they cannot be written, the download itself will say so. */
  async #refer(commit: string): Promise<void> {
    if ((await this.#referred()) === commit) return;
    const path = this.#pointer("refs", this.#repository.revision);
    const temporary = `${path}.${randomUUID()}.tmp`;
    try {
      makeFolder(dirname(path));
      await fs.writeFile(temporary, commit);
      await fs.rename(temporary, path);
    } catch {}
  }

  async #noteMissing(commit: string, name: string): Promise<void> {
    const path = this.#pointer(".no_exist", commit, name);
    try {
      makeFolder(dirname(path));
      await fs.writeFile(path, "");
    } catch {}
  }

  get #folderName(): string {
    return `models--${this.#repository.id.replace("/", "--")}`;
  }

  get #folder(): string {
    return join(this.#cacheFolder, this.#folderName);
  }

  #pointer(...parts: readonly string[]): string {
    return join(this.#folder, ...parts);
  }

  #explained(error: unknown): unknown {
    return isSystemError(error) ? this.#unwritable(error.code ?? error.message, error) : error;
  }

  #unwritable(problem: string, cause?: unknown): Florence2Error {
    return new Florence2Error(
      "cache_unwritable",
      `${this.#cacheFolder} cannot take the files of ${this.#repository.id}: ${problem}. Make room there, or set HF_HOME to a folder with room that may be written.`,
      { folder: this.#cacheFolder, problem },
      cause,
    );
  }
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return "errno" in Object(error);
}

/** Bytes; undefined where there is no file, such as behind a link to nothing. */
async function fileSize(path: string): Promise<number | undefined> {
  const found = await fs.stat(path).catch(() => undefined);
  return found?.isFile() ? found.size : undefined;
}

async function sinkInto(handle: fs.FileHandle): Promise<Sink> {
  let length = (await handle.stat()).size;
  return {
    length: async () => length,
    async truncate(to) {
      if (to < length) await handle.truncate(to);
      length = Math.min(to, length);
    },
    async append(chunk) {
      for (let done = 0; done < chunk.length; ) {
        const { bytesWritten } = await handle.write(chunk, done, chunk.length - done, length);
        done += bytesWritten;
        length += bytesWritten;
      }
    },
  };
}

/** A symbolic link in one step; where there are none, as often on Windows, the file under a second name, or a copy. */
async function link(blob: string, pointer: string): Promise<void> {
  const temporary = `${pointer}.${randomUUID()}.incomplete`;
  await fs
    .symlink(relative(dirname(pointer), blob), temporary)
    .catch(() => fs.link(blob, temporary))
    .catch(() => fs.copyFile(blob, temporary));
  await fs.rename(temporary, pointer);
}
