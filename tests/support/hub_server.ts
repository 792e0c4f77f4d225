import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

export interface HubRequest {
  readonly method: string;
  /** `hub`, or `cdn`: the other host, which large files are redirected to. */
  readonly host: "hub" | "cdn";
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
}

/** What the server would answer; a fault changes it, or answers by itself and returns false. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Uint8Array;
}
export type Fault = (
  request: HubRequest,
  answer: Answer,
  response: ServerResponse,
) => boolean | undefined | Promise<boolean | undefined>;

/** A small server that speaks the hub's interface for one repository, with another as its CDN. */
export interface HubServer {
  readonly url: string;
  readonly commit: string;
  /** What was asked since the last look. */
  readonly requests: HubRequest[];
  /** Tried on every request, in order. */
  faults: Fault[];
  /** The only token that may read, and whether the repository is gated rather than private. */
  access: { token: string; isGated: boolean } | undefined;
  /** Replaces the files by those of another commit. */
  push(files: Readonly<Record<string, Uint8Array>>): void;
  close(): Promise<void>;
}

export const REPOSITORY = "florence/tiny";

/** What lets pages of other hosts read, as the hub has it. */
const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-headers": "Authorization, Range",
  "access-control-expose-headers":
    "X-Repo-Commit, X-Error-Code, ETag, X-Linked-Size, X-Linked-ETag, Content-Range",
};

export const sha256Of = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
/** As git names a file. */
export const blobIdOf = (bytes: Uint8Array) =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
/** Files that the hub keeps in its store of large files. */
export const isLarge = (name: string) => /\.(safetensors|bin)$/.test(name);

/** What a repository is made from: the files of a folder, in the order of their names. */
export async function filesIn(folder: string): Promise<Record<string, Uint8Array>> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.flatMap((entry) => (entry.isFile() ? [entry.name] : [])).sort();
  const contents = names.map(async (name) => [name, await readFile(join(folder, name))] as const);
  return Object.fromEntries(await Promise.all(contents));
}

export async function startHub(files: Readonly<Record<string, Uint8Array>>): Promise<HubServer> {
  let current = files;
  /** Weights may be large: they are hashed once. */
  const hashes = new Map<Uint8Array, string>();
  const hashOf = (bytes: Uint8Array) => {
    if (!hashes.has(bytes)) hashes.set(bytes, sha256Of(bytes));
    return hashes.get(bytes)!;
  };
  const commitOf = () => createHash("sha1").update(Object.values(current).map(hashOf).join()).digest("hex");
  /** What the hub's API tells of the current commit. */
  const fileList = () => ({
    sha: commitOf(),
    siblings: Object.entries(current).map(([name, bytes]) => ({
      rfilename: name,
      size: bytes.length,
      blobId: blobIdOf(bytes),
      ...(isLarge(name) && { lfs: { sha256: hashOf(bytes), size: bytes.length, pointerSize: 134 } }),
    })),
  });
  const hub = createServer();
  const cdn = createServer();
  const [url, cdnUrl] = [await listen(hub), await listen(cdn)];
  const state: HubServer = {
    url,
    get commit() {
      return commitOf();
    },
    requests: [],
    faults: [],
    access: undefined,
    push(next) {
      current = next;
    },
    async close() {
      for (const server of [hub, cdn]) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };

  const answerOf = ({ host, path, headers }: HubRequest): Answer => {
    const refuse = (status: number, code = "") => answer(status, { "x-error-code": code });
    if (host === "cdn") {
      if (headers.authorization) return refuse(400);
      const bytes = Object.values(current).find((content) => path === `/${hashOf(content)}`);
      return bytes ? ranged(bytes, headers.range) : refuse(404);
    }
    const listed = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/([^/]+)\?blobs=true$/.exec(path);
    const resolved = /^\/api\/resolve-cache\/models\/[^/]+\/[^/]+\/[^/]+\/(.+)$/.exec(path);
    const [, id, revision, name = resolved?.[1]] =
      listed ?? /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path) ?? [];
    if (state.access && headers.authorization !== `Bearer ${state.access.token}`) {
      return refuse(state.access.isGated ? 403 : 401, state.access.isGated ? "GatedRepo" : "RepoNotFound");
    }
    if (!resolved && id !== REPOSITORY) return refuse(401, "RepoNotFound");
    if (!resolved && !["main", "refs%2Fpr%2F1", commitOf()].includes(revision!))
      return refuse(404, "RevisionNotFound");
    if (listed) return { status: 200, headers: {}, body: Buffer.from(JSON.stringify(fileList())) };
    const bytes = current[decodeURIComponent(name!)];
    const commit = { "x-repo-commit": commitOf() };
    if (!bytes) return answer(404, { ...commit, "x-error-code": "EntryNotFound" });
    const linked = { "x-linked-size": String(bytes.length) };
    if (isLarge(name!)) {
      const large = { ...linked, "x-linked-etag": `"${hashOf(bytes)}"` };
      return answer(302, { ...commit, ...large, location: `${cdnUrl}/${hashOf(bytes)}` });
    }
    const etag = { etag: `"${blobIdOf(bytes)}"` };
    if (resolved)
      return {
        ...ranged(bytes, headers.range),
        headers: { ...commit, ...etag, ...ranged(bytes, headers.range).headers },
      };
    const location = `/api/resolve-cache/models/${REPOSITORY}/${commitOf()}/${name}`;
    return answer(307, { ...commit, ...linked, "x-linked-etag": etag.etag, location });
  };

  const serve = (host: "hub" | "cdn") => async (incoming: IncomingMessage, response: ServerResponse) => {
    const { method = "", url: path = "", headers } = incoming;
    // Browsers ask first whether a page may send its token.
    if (method === "OPTIONS") {
      response.writeHead(204, CORS).end();
      return;
    }
    const request = { method, host, path, headers };
    state.requests.push(request);
    const planned = answerOf(request);
    Object.assign(planned.headers, CORS);
    for (const fault of state.faults) if ((await fault(request, planned, response)) === false) return;
    const length = { "content-length": planned.body.length };
    response.writeHead(planned.status, { ...CORS, ...length, ...planned.headers });
    response.end(method === "HEAD" ? undefined : planned.body);
  };
  hub.on("request", serve("hub"));
  cdn.on("request", serve("cdn"));
  return state;
}

function answer(status: number, headers: Record<string, string>): Answer {
  return { status, headers, body: new Uint8Array(0) };
}

function ranged(bytes: Uint8Array, range: string | undefined): Answer {
  const start = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? Number.NaN);
  if (Number.isNaN(start)) return { status: 200, headers: {}, body: bytes };
  if (start >= bytes.length) return answer(416, { "content-range": `bytes */${bytes.length}` });
  const headers = { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
  return { status: 206, headers, body: bytes.subarray(start) };
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/* Faults. */

export type Target = "list" | "head config" | "get config" | "head weights" | "get weights" | "cdn weights";

function targetOf({ method, host, path }: HubRequest): Target | undefined {
  // Browsers follow the redirect of a HEAD, too.
  if (host === "cdn") return method === "GET" ? "cdn weights" : undefined;
  if (path.startsWith("/api/models/")) return "list";
  const name = /(config|model)\.(?:json|safetensors)$/.exec(path)?.[1];
  if (!name) return undefined;
  return `${method === "HEAD" ? "head" : "get"} ${name === "config" ? "config" : "weights"}`;
}

/** A fault in the first `times` requests of a kind. */
export function faultAt(target: Target, times: number, fault: Fault): Fault {
  let left = times;
  return (request, planned, response) =>
    targetOf(request) === target && left-- > 0 ? fault(request, planned, response) : undefined;
}

export const status =
  (code: number, headers: Record<string, string> = {}): Fault =>
  (_, planned) => {
    Object.assign(planned, answer(code, headers));
    return undefined;
  };

/** The answer with other headers; an empty text leaves one out. */
export const withHeaders =
  (headers: Record<string, string>): Fault =>
  (_, planned) => {
    for (const [name, value] of Object.entries(headers)) {
      if (value === "") delete planned.headers[name];
      else planned.headers[name] = value;
    }
    return undefined;
  };

/** The answer with another body; its length is announced truly. */
export const withBody =
  (change: (body: Uint8Array) => Uint8Array): Fault =>
  (_, planned) => {
    planned.body = change(planned.body);
    return undefined;
  };

/** The connection breaks before the answer, or after a share of its body. */
export const cut =
  (share?: number): Fault =>
  async (_, { status: code, headers, body }, response) => {
    if (share !== undefined) {
      response.writeHead(code, { "content-length": body.length, ...headers });
      await new Promise<void>((resolve) =>
        response.write(body.subarray(0, Math.ceil(share * body.length)), () => resolve()),
      );
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    response.destroy();
    return false;
  };

/** Nothing more comes, and the connection stays. */
export const hang =
  (share?: number): Fault =>
  (_, { status: code, headers, body }, response) => {
    if (share === undefined) return false;
    response.writeHead(code, { "content-length": body.length, ...headers });
    response.write(body.subarray(0, Math.ceil(share * body.length)));
    return false;
  };

/** Without a length, in chunks, as much of the body as `share` says. */
export const chunked =
  (share: number): Fault =>
  (_, { status: code, headers, body }, response) => {
    response.writeHead(code, headers);
    response.end(body.subarray(0, Math.ceil(share * body.length)));
    return false;
  };
