import { Florence2Error, quote } from "../../core/errors.ts";
import { hasFileSystem } from "../../core/platform.ts";
import { isRelativeName } from "../files.ts";

/** Options for the place of a repository. */
export interface HubOptions {
  /** A branch, tag or commit of the repository. Default `main`. */
  readonly revision?: string | undefined;
  /** For private and gated repositories. Default, where there is an environment: that of Python's hub. */
  readonly token?: string | undefined;
  /** The hub's address. Default: the environment's `HF_ENDPOINT`, else https://huggingface.co. */
  readonly endpoint?: string | undefined;
  /** Asks the hub and other servers, for proxies and tests. Default: the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/** How often and how long to try; as huggingface_hub does. */
export interface Persistence {
  /** Failures in a row after which a request is given up. */
  readonly attempts: number;
  /** Milliseconds before the second attempt; each further pause is twice as long. */
  readonly pause: number;
  /** Milliseconds without a byte after which a connection counts as dropped. */
  readonly silence: number;
}

const PERSISTENCE: Persistence = { attempts: 5, pause: 500, silence: 10_000 };

/** A repository on a hub, and how to ask for its files. */
export interface Repository {
  /** `org/name`. */
  readonly id: string;
  readonly revision: string;
  readonly endpoint: URL;
  readonly token?: string;
  readonly persistence: Persistence;
  readonly signal?: AbortSignal | undefined;
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/** Throws option_invalid where an option is no address, no token, or no name of a revision. */
export function repositoryOf(
  id: string,
  { revision = "main", token, endpoint = "https://huggingface.co", fetch }: HubOptions,
  signal?: AbortSignal,
  persistence = PERSISTENCE,
): Repository {
  if (!URL.canParse(endpoint) || !/^https?:/.test(endpoint)) {
    throw invalid(
      "endpoint",
      `${quote(endpoint)}, expected an http(s) address such as https://huggingface.co`,
    );
  }
  if (!isRelativeName(revision))
    throw invalid("revision", `${quote(revision)}, expected a branch, tag or commit`);
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw invalid("token", "set, but has spaces or characters that no token of a hub has");
  }
  return { id, revision, endpoint: new URL(endpoint), token, persistence, signal, fetch };
}

/**
 * Whether a text can be the id of a repository, by the hub's rules: `org/name` in letters, digits, ".", "_"
 * and "-", each part of at most 96, without "--" and "..", and not ending in ".git".
 */
export function isRepositoryId(text: string): boolean {
  return /^\w[\w.-]{0,95}\/\w[\w.-]{0,95}$/.test(text) && !/--|\.\.|[.-](?:\/|$)|\.git$/.test(text);
}

export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

export function fileUrl({ endpoint, id }: Repository, revision: string, name: string): URL {
  const path = name.split("/").map(encodeURIComponent).join("/");
  return new URL(`${folderPath(endpoint)}${id}/resolve/${encodeURIComponent(revision)}/${path}`, endpoint);
}

/** Where the hub's API tells the commit and the files of the revision. */
export function listUrl({ endpoint, id, revision }: Repository): URL {
  const path = `${folderPath(endpoint)}api/models/${id}/revision/${encodeURIComponent(revision)}`;
  return new URL(`${path}?blobs=true`, endpoint);
}

/** The page of the repository, for people. */
function pageOf({ endpoint, id }: Repository): string {
  return `${endpoint.origin}${folderPath(endpoint)}${id}`;
}

function folderPath({ pathname }: URL): string {
  return pathname.endsWith("/") ? pathname : `${pathname}/`;
}

/** The error for an answer of the hub that brings no file, by the codes that it sends with it. */
export function refusal(repository: Repository, name: string, response: Response): Florence2Error {
  const { id, revision, token } = repository;
  const { status } = response;
  const reason = response.headers.get("x-error-code");
  const remark = response.headers.get("x-error-message")?.slice(0, 200) ?? "";
  const details = { repository: id, revision, file: name, status };
  const page = pageOf(repository);
  if (reason === "RevisionNotFound") {
    const message = `${id} has no revision ${quote(revision)}: ${page}/commits lists what it has.`;
    return new Florence2Error("repository_not_found", message, details);
  }
  if (reason === "GatedRepo") {
    const message = `${id} is gated: accept its terms at ${page}, then set HF_TOKEN to a token of that account${token ? " (the token in use has no access)" : ""}.`;
    return new Florence2Error("access_denied", message, details);
  }
  if (status === 401 && token && reason !== "RepoNotFound") {
    const message = `The hub refuses the token (status 401): make one at ${repository.endpoint.origin}/settings/tokens, or unset HF_TOKEN if ${id} is public.`;
    return new Florence2Error("access_denied", message, details);
  }
  if (reason === "RepoNotFound" || status === 401) {
    const message = `There is no folder ${id} here, and no repository ${id} at ${repository.endpoint.origin} that ${token ? "the token in use" : "everybody"} may read. Check the name; if it is private, set HF_TOKEN.`;
    return new Florence2Error("repository_not_found", message, details);
  }
  if (status === 403) {
    const message = `The hub denies access to ${id} (status 403) ${quote(remark)}: check what the token in HF_TOKEN may read.`;
    return new Florence2Error("access_denied", message, details);
  }
  if (reason === "EntryNotFound" || status === 404) return noSuchFile(repository, name, { status, reason });
  const isTransient = [408, 425, 429].includes(status) || status >= 500;
  const problem = `the hub answered with status ${status}${remark && ` ${quote(remark)}`}`;
  return downloadFailed(repository, name, problem, {
    isTransient,
    status,
    retryAfter: isTransient ? response.headers.get("retry-after") : undefined,
  });
}

/** The error for a file that a repository does not have. */
export function noSuchFile(
  { id, revision }: Repository,
  name: string,
  details: Readonly<Record<string, unknown>> = {},
): Florence2Error {
  const message = `${name} does not exist in ${id}, revision ${quote(revision)}.`;
  return new Florence2Error("file_not_found", message, { repository: id, revision, file: name, ...details });
}

const REMEDY = hasFileSystem
  ? "check the network, its proxy and HF_ENDPOINT. Without a network, give a folder that has the model's files."
  : "check the network, and that the hub lets other pages read its files (CORS).";

/** An error of a download. It may succeed when tried again if `isTransient`. */
export function downloadFailed(
  { id, endpoint }: Repository,
  name: string,
  problem: string,
  details: Readonly<Record<string, unknown>> & { readonly isTransient: boolean },
  cause?: unknown,
): Florence2Error {
  return new Florence2Error(
    "download_failed",
    `${name} of ${id} could not be downloaded from ${endpoint.origin}: ${problem}. Try again later; if that does not help, ${REMEDY}`,
    { repository: id, file: name, ...details },
    cause,
  );
}

function invalid(option: string, problem: string): Florence2Error {
  return new Florence2Error("option_invalid", `${option} is ${problem}.`, { option });
}
