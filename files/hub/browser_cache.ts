/**
 * A hub's files in the browser, kept in the Cache API under their addresses at one commit, after their size and,
 * where the hub tells it, their SHA-256 were checked. Where there is no such cache, or no room in it, they are
 * fetched anew each time.
 */
import { openFile, type RangedFile } from "../files.ts";
import { joinedFile, PIECE, Pieces } from "./pieces.ts";
import type { Progress } from "./progress.ts";
import { downloadFailed, fileUrl, listUrl, noSuchFile, type Repository } from "./repository.ts";
import { download, type FileList, fetchFileList, type ListedFile, parseFileList } from "./requests.ts";
import { Sha256 } from "./sha256.ts";

/** Name of the cache in the browser. */
export const CACHE = "florence2-webgpu";

export class BrowserCache {
  readonly #repository: Repository;
  readonly #progress: Progress;
  readonly #warn: (message: string) => void;
  readonly #cache: Promise<Cache | undefined>;
  #list: Promise<FileList> | undefined;

  constructor(repository: Repository, progress: Progress, warn: (message: string) => void) {
    this.#repository = repository;
    this.#progress = progress;
    this.#warn = warn;
    this.#cache = Promise.resolve(globalThis.caches?.open(CACHE)).catch(() => undefined);
  }

  /** Whether the repository has such a file. Its size counts in the progress from then on. */
  async has(name: string): Promise<boolean> {
    const file = (await this.#listed()).files.get(name);
    if (file) this.#progress.expect(name, file.size);
    return file !== undefined;
  }

  /**
   * The file, fetched if need be. Throws file_not_found where the repository has none, repository_not_found,
   * access_denied, and download_failed.
   */
  async open(name: string): Promise<RangedFile> {
    this.#progress.step("initiate", name);
    const { commit, files } = await this.#listed();
    const file = files.get(name);
    if (!file) throw noSuchFile(this.#repository, name);
    const kept = await joinedFile(await this.#cache, fileUrl(this.#repository, commit, name));
    const blob = kept?.size === file.size ? kept : await this.#fetch(commit, name, file);
    this.#progress.advance(name, blob.size, blob.size);
    this.#progress.step("done", name);
    return openFile(new File([blob], name), { signal: this.#repository.signal });
  }

  async #fetch(commit: string, name: string, { size, sha256 }: ListedFile): Promise<Blob> {
    this.#progress.step("download", name);
    const repository = this.#repository;
    const url = fileUrl(repository, commit, name);
    const sink = await Pieces.open(await this.#cache, url, (...entry) => this.#keep(...entry));
    for (let isLast = false; ; isLast = true) {
      await download(repository, commit, name, sink, size, (loaded, total) =>
        this.#progress.advance(name, loaded, total),
      );
      const found = sha256 && (await sha256Of(sink.joined(), repository.signal));
      if (found === sha256) return sink.finish();
      await sink.truncate(0);
      const problem = `its SHA-256 is ${found} instead of ${sha256}`;
      if (isLast) throw downloadFailed(repository, name, problem, { isTransient: true });
    }
  }

  #listed(): Promise<FileList> {
    this.#list ??= this.#look();
    return this.#list;
  }

  /** The commit of the revision, now or when the hub was last reached. */
  async #look(): Promise<FileList> {
    const repository = this.#repository;
    const { href } = listUrl(repository);
    const earlier = await (await (await this.#cache)?.match(href))?.text();
    try {
      // With a copy at hand, a network that is down is not waited for.
      const list = await fetchFileList(repository, earlier === undefined ? undefined : 1);
      await this.#keep(href, new Response(list));
      return parseFileList(repository, list);
    } catch (error) {
      repository.signal?.throwIfAborted();
      this.#list = undefined;
      if (earlier === undefined) throw error;
      this.#warn(`${(error as Error).message} Using what was downloaded before.`);
      this.#list = Promise.resolve(parseFileList(repository, earlier));
      return this.#list;
    }
  }

  /** Whether the response is kept: always, where there is no cache that could. */
  async #keep(url: string, response: Response): Promise<boolean> {
    try {
      await (await this.#cache)?.put(url, response);
      return true;
    } catch (error) {
      const reason = (error as Error).message;
      this.#warn(
        `The browser does not keep ${new URL(url).pathname} (${reason}): it is fetched again next time.`,
      );
      return false;
    }
  }
}

async function sha256Of(blob: Blob, signal?: AbortSignal): Promise<string> {
  const hash = new Sha256();
  for (let start = 0; start < blob.size; start += PIECE) {
    signal?.throwIfAborted();
    hash.update(new Uint8Array(await blob.slice(start, start + PIECE).arrayBuffer()));
  }
  return hash.digest();
}
