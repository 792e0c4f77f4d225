/**
 * The hub's HTTP interface, as huggingface_hub 2.4 speaks it (file_download.py, hf_api.py, utils/_http.py): HEAD
 * gives commit, etag and size of a file, GET its bytes, from another host if need be, and the API a list of files.
 */
import { Florence2Error } from "../../core/errors.ts";
import { hasFileSystem } from "../../core/platform.ts";
import { reasonOf } from "../web_request.ts";
import { downloadFailed, fileUrl, isCommit, listUrl, type Repository, refusal } from "./repository.ts";

/** What the hub tells about a file without sending it. */
export interface FileInfo {
  readonly commit: string | undefined;
  /** Names the content; for large files it is their SHA-256. */
  readonly etag: string | undefined;
  /** Bytes. */
  readonly size: number | undefined;
}

/** What a revision is at the moment. */
export interface FileList {
  readonly commit: string;
  /** By their names. */
  readonly files: ReadonlyMap<string, ListedFile>;
}

export interface ListedFile {
  /** Bytes. */
  readonly size: number;
  /** Of large files. */
  readonly sha256: string | undefined;
}

/** Where a download goes. It begins where an earlier one ended. */
export interface Sink {
  length(): Promise<number>;
  /** Drops what is behind the first so many bytes. */
  truncate(length: number): Promise<void>;
  append(chunk: Uint8Array<ArrayBuffer>): Promise<void>;
}

/** What errors call the list of files. */
const LIST = "The list of files";
const MAX_REDIRECTS = 8;
/** The longest wait that a server may ask for, in milliseconds. */
const MAX_RETRY_AFTER = 120_000;
/** Bytes that make an attempt count as a success, so that long downloads survive many short connections. */
const HEADWAY = 2 ** 20;

/** Throws repository_not_found, access_denied, file_not_found or download_failed. */
export async function fileInfo(
  repository: Repository,
  revision: string,
  name: string,
  attempts = repository.persistence.attempts,
): Promise<FileInfo> {
  const response = await retrying(repository, attempts, async () => {
    const watch = watchOf(repository);
    try {
      return await exchange(repository, "HEAD", fileUrl(repository, revision, name), name, watch.signal);
    } finally {
      watch.stop();
    }
  });
  const { headers } = response;
  const size = headers.get("x-linked-size") ?? (response.ok ? headers.get("content-length") : undefined);
  return {
    commit: headers.get("x-repo-commit") ?? undefined,
    etag: (headers.get("x-linked-etag") ?? headers.get("etag"))?.replace(/^(?:W\/)?"?|"$/g, "") || undefined,
    size: size && /^\d+$/.test(size) ? Number(size) : undefined,
  };
}

/**
 * The files of the repository's revision, in one request: pages cannot see what a redirect says of a file.
 * Resolves to JSON, which `parseFileList` reads. Throws what `fileInfo` throws.
 */
export async function fetchFileList(
  repository: Repository,
  attempts = repository.persistence.attempts,
): Promise<string> {
  return retrying(repository, attempts, async () => {
    const watch = watchOf(repository);
    try {
      const response = await exchange(repository, "GET", listUrl(repository), LIST, watch.signal);
      const text = await response.text().catch((cause: unknown) => {
        throw downloadFailed(repository, LIST, "the connection broke", { isTransient: true }, cause);
      });
      parseFileList(repository, text);
      return text;
    } finally {
      watch.stop();
    }
  });
}

/** Throws download_failed for what no hub says. */
export function parseFileList(repository: Repository, json: string): FileList {
  try {
    const { sha, siblings } = JSON.parse(json) as { sha: string; siblings: Sibling[] };
    if (!isCommit(sha)) throw new Error("no commit");
    const files = siblings.map(({ rfilename, size, lfs }): [string, ListedFile] => {
      if (!Number.isSafeInteger(size)) throw new Error("no size");
      return [rfilename, { size, sha256: lfs?.sha256 }];
    });
    return { commit: sha, files: new Map(files) };
  } catch (cause) {
    const problem = "what answers there is no hub (no commit with its files)";
    throw downloadFailed(repository, LIST, problem, { isTransient: false }, cause);
  }
}

/** A file as the hub's API tells of it. */
interface Sibling {
  readonly rfilename: string;
  readonly size: number;
  readonly lfs?: { readonly sha256: string };
}

/**
 * Fetches a file into `sink`, which resumes what it has. `size` is what the file must have in the end, in
 * bytes, as far as it is known. Throws what `fileInfo` and the sink throw; the sink keeps what came.
 */
export async function download(
  repository: Repository,
  revision: string,
  name: string,
  sink: Sink,
  size: number | undefined,
  onProgress: (loaded: number, total: number) => void,
): Promise<void> {
  let furthest = await sink.length();
  const failed = (problem: string, cause?: unknown) =>
    downloadFailed(repository, name, problem, { isTransient: true }, cause);
  await retrying(repository, repository.persistence.attempts, async (state) => {
    if (size !== undefined && (await sink.length()) > size) await sink.truncate(0);
    let at = await sink.length();
    if (at === size) return;
    const watch = watchOf(repository);
    try {
      const url = fileUrl(repository, revision, name);
      const response = await exchange(repository, "GET", url, name, watch.signal, at);
      const start = startOf(response, at, size);
      if (start !== at) await sink.truncate(start ?? 0);
      if (start === undefined) {
        await response.body?.cancel();
        throw failed(`the server answered bytes ${at} and on with ${response.headers.get("content-range")}`);
      }
      at = start;
      const encoded = response.headers.has("content-encoding");
      const min = size ?? (encoded ? 0 : at + Number(response.headers.get("content-length") ?? 0));
      const reader = response.body?.getReader();
      try {
        for (;;) {
          const { value } = (await reader?.read().catch((cause: unknown) => {
            throw failed(`the connection broke after ${at} bytes`, cause);
          })) ?? { value: undefined };
          if (!value) break;
          watch.feed();
          if (size !== undefined && at + value.length > size) {
            await sink.truncate(0);
            throw failed(`it has more than the ${size} bytes that were announced`);
          }
          await sink.append(value);
          at += value.length;
          onProgress(at, Math.max(min, at));
        }
      } finally {
        await reader?.cancel().catch(() => {});
      }
      if (at < min) throw failed(`the connection ended after ${at} of ${min} bytes`);
    } finally {
      watch.stop();
      if (at >= furthest + HEADWAY) {
        furthest = at;
        state.failures = 0;
      }
    }
  });
}

/** The first byte of an answer to "bytes at and on", 0 if it is the whole file; undefined if it is something else. */
function startOf(response: Response, at: number, size: number | undefined): number | undefined {
  if (response.status !== 206) return response.status === 200 ? 0 : undefined;
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get("content-range") ?? "") ?? [];
  return Number(start) === at && (size === undefined || Number(total) === size) ? at : undefined;
}

/**
 * One answer that brings the file, or that tells where it is. The token goes to the hub alone, never to the
 * hosts that it sends one to. Browsers follow redirects by the same rule, unseen.
 */
async function exchange(
  repository: Repository,
  method: "HEAD" | "GET",
  from: URL,
  name: string,
  signal: AbortSignal,
  firstByte = 0,
): Promise<Response> {
  const { endpoint, token } = repository;
  const failed = (problem: string, isTransient: boolean, cause?: unknown) =>
    downloadFailed(repository, name, problem, { isTransient }, cause);
  let url = from;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const headers = {
      // Sizes are those of the file itself. Browsers do not let it be said.
      "Accept-Encoding": "identity",
      ...(firstByte > 0 && { Range: `bytes=${firstByte}-` }),
      ...(token && url.origin === endpoint.origin && { Authorization: `Bearer ${token}` }),
    };
    const response = await (repository.fetch ?? fetch)(url, {
      method,
      headers,
      signal,
      redirect: hasFileSystem ? "manual" : "follow",
    }).catch((cause: unknown) => {
      throw failed(`no answer (${reasonOf(cause)})`, true, cause);
    });
    const target = response.headers.get("location");
    if (response.ok) return response;
    if (!(response.status >= 300 && response.status < 400 && target)) {
      await response.body?.cancel();
      // What was there to resume is not what the server has.
      if (response.status === 416) return response;
      const { origin, host } = new URL(response.url);
      if (origin === endpoint.origin) throw refusal(repository, name, response);
      // Addresses on other hosts expire; the hub gives a new one.
      throw failed(`${host} answered with status ${response.status}`, true);
    }
    if (!URL.canParse(target, url)) throw failed("it redirects to what is no address", false);
    const next = new URL(target, url);
    // The hub's own answer tells of the file; the other host knows nothing of commits.
    if (method === "HEAD" && next.origin !== endpoint.origin) return response;
    await response.body?.cancel();
    if (!/^https?:$/.test(next.protocol) || (url.protocol === "https:" && next.protocol === "http:")) {
      throw failed(`it redirects from ${url.protocol} to ${next.protocol}`, false);
    }
    url = next;
  }
  throw failed(`more than ${MAX_REDIRECTS} redirects`, false);
}

/** Repeats what fails for reasons that pass, with pauses that grow. `attempt` may reset the count. */
async function retrying<T>(
  { signal, persistence }: Repository,
  attempts: number,
  attempt: (state: { failures: number }) => Promise<T>,
): Promise<T> {
  const state = { failures: 0 };
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await attempt(state);
    } catch (error) {
      signal?.throwIfAborted();
      state.failures++;
      if (!(error instanceof Florence2Error) || !error.details.isTransient || state.failures >= attempts) {
        throw error;
      }
      const asked = retryAfter(error.details.retryAfter);
      if (asked > MAX_RETRY_AFTER) throw error;
      const jitter = 0.75 + 0.5 * Math.random();
      await pause(Math.max(asked, persistence.pause * 2 ** (state.failures - 1) * jitter), signal);
    }
  }
}

/** Milliseconds that a Retry-After header asks for: seconds or a date (RFC 9110, section 10.2.3). */
function retryAfter(header: unknown): number {
  if (typeof header !== "string") return 0;
  const milliseconds = /^\d+$/.test(header) ? 1000 * Number(header) : Date.parse(header) - Date.now();
  return Math.max(0, milliseconds || 0);
}

/** Waits. Rejects with the signal's reason when it aborts. */
export async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done);
    if (signal?.aborted) done();
  });
  signal?.throwIfAborted();
}

/** A signal that aborts with the caller's, and when nothing was fed for as long as `persistence.silence` says. */
function watchOf({ signal, persistence }: Repository) {
  const silence = new AbortController();
  const abort = () => silence.abort(new Error(`silent for ${persistence.silence / 1000} s`));
  let timer = setTimeout(abort, persistence.silence);
  return {
    signal: signal ? AbortSignal.any([signal, silence.signal]) : silence.signal,
    feed() {
      clearTimeout(timer);
      timer = setTimeout(abort, persistence.silence);
    },
    stop: () => clearTimeout(timer),
  };
}
