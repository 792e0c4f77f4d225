import type { ErrorCode } from "../../core/errors.ts";
import type { Persistence } from "../../files/hub/repository.ts";
import { mix } from "../../measure/generated/random.ts";
import { HURRY, IMPATIENT } from "./hub_cache.ts";
import { chunked, cut, type Fault, hang, status, type Target, withBody, withHeaders } from "./hub_server.ts";

/** A repository that faults are tried on. */
export const files = {
  "config.json": new TextEncoder().encode(JSON.stringify({ model_type: "florence2" })),
  "model.safetensors": Uint8Array.from({ length: 300_000 }, (_, i) => mix(i)),
};

const flipped = withBody((body) => body.map((byte, i) => (i === body.length >> 1 ? byte ^ 1 : byte)));
const longer = withBody((body) => Buffer.concat([body, Uint8Array.of(0)]));
const shorter = withBody((body) => body.subarray(1));
const portal: Fault = (_, planned) => {
  Object.assign(planned, {
    status: 200,
    headers: { "content-type": "text/html" },
    body: new TextEncoder().encode("<html>Sign in to this network</html>"),
  });
  return undefined;
};
const weakened: Fault = (_, planned) => {
  for (const name of ["etag", "x-linked-etag"]) {
    if (planned.headers[name]) planned.headers[name] = `W/${planned.headers[name]}`;
  }
  return undefined;
};
const ignoringRanges =
  (fault: Fault): Fault =>
  (request, planned, response) => {
    Object.assign(planned, { status: 200, headers: {}, body: files["model.safetensors"] });
    return fault(request, planned, response);
  };
const FOREVER = Infinity;

/** How long a row waits: only silence has to be waited for. */
export const persistenceFor = (what: string): Persistence => (what.startsWith("silence") ? IMPATIENT : HURRY);

/** A fault, where, in how many requests, and what the call comes to. */
export type Row = readonly [string, Target, number, Fault, "works" | ErrorCode];
export const ROWS: readonly Row[] = [
  // What passes.
  ["no connection", "head config", 2, cut(), "works"],
  ["no connection", "get config", 2, cut(), "works"],
  ["no connection", "head weights", 2, cut(), "works"],
  ["no connection", "get weights", 2, cut(), "works"],
  ["no connection", "cdn weights", 2, cut(), "works"],
  ["status 500", "head config", 2, status(500), "works"],
  ["status 502", "get config", 2, status(502), "works"],
  ["status 503 with a moment's wait", "head weights", 1, status(503, { "retry-after": "0" }), "works"],
  ["status 504", "get weights", 2, status(504), "works"],
  ["status 500", "cdn weights", 2, status(500), "works"],
  ["status 408", "get weights", 2, status(408), "works"],
  ["status 429 with a wait of a second", "head config", 1, status(429, { "retry-after": "1" }), "works"],
  [
    "status 429 until a date gone by",
    "cdn weights",
    2,
    status(429, { "retry-after": new Date(0).toUTCString() }),
    "works",
  ],
  ["status 429 with a wait that is none", "get config", 2, status(429, { "retry-after": "soon" }), "works"],
  ["a connection cut at once", "cdn weights", 2, cut(0), "works"],
  ["a connection cut half-way", "cdn weights", 2, cut(0.5), "works"],
  ["a connection cut at 99 %", "cdn weights", 2, cut(0.99), "works"],
  ["a connection cut half-way", "get config", 2, cut(0.5), "works"],
  ["a body that ends early, without a length", "cdn weights", 2, chunked(0.5), "works"],
  ["a body that ends early, without a length", "get config", 2, chunked(0.5), "works"],
  ["an empty body", "cdn weights", 2, withBody(() => new Uint8Array(0)), "works"],
  ["a body that lacks a byte", "cdn weights", 2, shorter, "works"],
  ["a body with a byte more", "cdn weights", 2, longer, "works"],
  ["a body with a byte more", "get config", 2, longer, "works"],
  ["one flipped bit", "cdn weights", 1, flipped, "works"],
  ["silence", "head config", 1, hang(), "works"],
  ["silence", "cdn weights", 1, hang(), "works"],
  ["silence half-way", "cdn weights", 1, hang(0.5), "works"],
  [
    "a range that was not asked for",
    "cdn weights",
    1,
    status(206, { "content-range": "bytes 5-9/300000" }),
    "works",
  ],
  ["a refused range", "cdn weights", 1, status(416), "works"],
  ["a size that is no number", "head weights", FOREVER, withHeaders({ "x-linked-size": "much" }), "works"],
  ["a weak etag", "head config", FOREVER, weakened, "works"],
  // What stays.
  ["no connection at all", "head config", FOREVER, cut(), "download_failed"],
  ["no connection at all", "cdn weights", FOREVER, cut(), "download_failed"],
  ["status 500 for ever", "get weights", FOREVER, status(500), "download_failed"],
  [
    "every connection cut half-way, ranges ignored",
    "cdn weights",
    FOREVER,
    ignoringRanges(cut(0.5)),
    "download_failed",
  ],
  ["a wait of an hour", "get weights", FOREVER, status(429, { "retry-after": "3600" }), "download_failed"],
  ["silence for ever", "get config", FOREVER, hang(), "download_failed"],
  ["a flipped bit each time", "cdn weights", FOREVER, ignoringRanges(flipped), "download_failed"],
  ["a byte less each time", "cdn weights", FOREVER, ignoringRanges(shorter), "download_failed"],
  ["the page of a hotel's network", "head config", FOREVER, portal, "download_failed"],
  ["the page of a hotel's network", "get config", FOREVER, portal, "download_failed"],
  ["no etag", "head weights", FOREVER, withHeaders({ "x-linked-etag": "" }), "download_failed"],
  [
    "an etag that leads out of the folder",
    "head weights",
    FOREVER,
    withHeaders({ "x-linked-etag": '"../../../x"' }),
    "download_failed",
  ],
  [
    "a commit that leads out of the folder",
    "head config",
    FOREVER,
    withHeaders({ "x-repo-commit": "../../../x" }),
    "download_failed",
  ],
  [
    "a size smaller than the file",
    "head weights",
    FOREVER,
    withHeaders({ "x-linked-size": "299999" }),
    "download_failed",
  ],
  [
    "a size larger than the file",
    "head weights",
    FOREVER,
    withHeaders({ "x-linked-size": "300001" }),
    "download_failed",
  ],
  [
    "a size larger than any disk",
    "head weights",
    FOREVER,
    withHeaders({ "x-linked-size": "9000000000000000" }),
    "cache_unwritable",
  ],
  [
    "redirects in a circle",
    "get config",
    FOREVER,
    withHeaders({ location: "/florence/tiny/resolve/main/config.json" }),
    "download_failed",
  ],
  [
    "a redirect to a file",
    "get weights",
    FOREVER,
    withHeaders({ location: "file:///etc/passwd" }),
    "download_failed",
  ],
  ["a redirect to nothing", "get weights", FOREVER, withHeaders({ location: "http://" }), "download_failed"],
  ["an address that has expired", "cdn weights", 1, status(403), "works"],
  ["status 400", "get weights", FOREVER, status(400), "download_failed"],
  ["status 403", "head config", FOREVER, status(403), "access_denied"],
  ["status 401", "head config", FOREVER, status(401), "repository_not_found"],
  [
    "a revision gone",
    "head config",
    FOREVER,
    status(404, { "x-error-code": "RevisionNotFound" }),
    "repository_not_found",
  ],
  ["status 404", "head weights", FOREVER, status(404), "file_not_found"],
  ["status 404", "cdn weights", FOREVER, status(404), "download_failed"],
];
