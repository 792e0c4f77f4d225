/**
 * A hub's files in the browser, kept in the Cache API under their addresses at one commit. Where there is no
 * such cache, or no room in it, they are fetched anew each time.
 */
import { Florence2Error } from "../core/errors.ts";
import { openFile, type RangedFile } from "../core/files.ts";
import { joinedFile, Pieces } from "./pieces.ts";
import type { Progress } from "./progress.ts";
import { fileUrl, noSuchFile, type Repository } from "./repository.ts";
import { download, fileInfo } from "./requests.ts";

const CACHE = "florence2-webgpu";

export class BrowserCache {
  readonly #repository: Repository;
  readonly #progress: Progress;
  readonly #warn: (message: string) => void;
  readonly #cache: Promise<Cache | undefined>;
  #commit: Promise<string> | undefined;

  constructor(repository: Repository, progress: Progress, warn: (message: string) => void) {
    this.#repository = repository;
    this.#progress = progress;
    this.#warn = warn;
    this.#cache = Promise.resolve(globalThis.caches?.open(CACHE)).catch(() => undefined);
  }

  /** Whether there is such a file, here or on the hub. Its size counts in the progress from then on. */
  async has(name: string): Promise<boolean> {
    const kept = await this.#kept(name);
    if (kept) return kept.ok;
    return this.#orMissing(name, async (commit) => {
      const { size } = await fileInfo(this.#repository, commit, name);
      if (size !== undefined) this.#progress.expect(name, size);
      return true;
    }).catch((error) => {
      if (error instanceof Florence2Error && error.code === "file_not_found") return false;
      throw error;
    });
  }

  /**
   * The file, fetched if need be. Throws file_not_found where the repository has none, repository_not_found,
   * access_denied, and download_failed.
   */
  async open(name: string): Promise<RangedFile> {
    this.#progress.step("initiate", name);
    const kept = await this.#kept(name);
    if (kept?.ok === false) throw noSuchFile(this.#repository, name);
    const blob = (kept && (await this.#joined(name, kept))) ?? (await this.#fetch(name));
    this.#progress.advance(name, blob.size, blob.size);
    this.#progress.step("done", name);
    return openFile(new File([blob], name), { signal: this.#repository.signal });
  }

  async #fetch(name: string): Promise<Blob> {
    return this.#orMissing(name, async (commit) => {
      this.#progress.step("download", name);
      const url = fileUrl(this.#repository, commit, name);
      const sink = await Pieces.open(await this.#cache, url, (...entry) => this.#keep(...entry));
      await download(this.#repository, commit, name, sink, undefined, (loaded, total) =>
        this.#progress.advance(name, loaded, total),
      );
      return sink.finish();
    });
  }

  async #joined(name: string, last: Response): Promise<Blob | undefined> {
    const url = fileUrl(this.#repository, await this.#pinned(), name);
    return joinedFile((await this.#cache)!, url, last);
  }

  /** What is known of a file without the hub: its content, or that there is none (status 404). */
  async #kept(name: string): Promise<Response | undefined> {
    const commit = await this.#pinned();
    return (await this.#cache)?.match(fileUrl(this.#repository, commit, name).href);
  }

  async #orMissing<T>(name: string, ask: (commit: string) => Promise<T>): Promise<T> {
    const commit = await this.#pinned();
    try {
      return await ask(commit);
    } catch (error) {
      if (error instanceof Florence2Error && error.code === "file_not_found") {
        await this.#keep(fileUrl(this.#repository, commit, name).href, new Response(null, { status: 404 }));
      }
      throw error;
    }
  }

  #pinned(): Promise<string> {
    this.#commit ??= this.#pin();
    return this.#commit;
  }

  /** The commit that the revision is, or was when the hub was last reached. */
  async #pin(): Promise<string> {
    const repository = this.#repository;
    const { revision, signal } = repository;
    const reference = fileUrl(repository, revision, "");
    const earlier = await (await (await this.#cache)?.match(reference.href))?.text();
    try {
      // With a copy at hand, a network that is down is not waited for.
      const attempts = earlier === undefined ? undefined : 1;
      const { commit = revision } = await fileInfo(repository, revision, "config.json", attempts);
      await this.#keep(reference.href, new Response(commit));
      return commit;
    } catch (error) {
      signal?.throwIfAborted();
      if (earlier !== undefined) {
        this.#warn(`${(error as Error).message} Using what was downloaded before.`);
        return earlier;
      }
      this.#commit = undefined;
      throw error;
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
