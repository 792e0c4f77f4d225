import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface S3Double {
  readonly url: string;
  /** Contents by bucket and key: `bucket/key`. */
  readonly objects: Map<string, Buffer>;
  /** Requests by method and status: `PUT 412`. */
  readonly answers: string[];
  /** Answers so many of the next requests with 503. */
  busy(requests: number): void;
  /** Answers each n-th request with 503; 0 for none. */
  busyEach(n: number): void;
  close(): void;
}

const PAGE = 2;
const BUCKETS = ["photos", "results"];

/**
 * A service with the part of S3's API that runs use, in memory, with the buckets photos and results: objects read,
 * written (also with `If-None-Match: *`, answered by 412 where there is one), removed and listed in pages.
 */
export async function startS3(): Promise<S3Double> {
  const objects = new Map<string, Buffer>();
  const answers: string[] = [];
  let refusals = 0;
  let every = 0;
  const answer = async (request: IncomingMessage): Promise<[status: number, body: string | Buffer]> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const url = new URL(request.url!, "http://s3");
    const name = decodeURIComponent(url.pathname.slice(1));
    if (!BUCKETS.includes(name.split("/")[0]!)) return [404, failure("NoSuchBucket")];
    if (!/^AWS4-HMAC-SHA256 /.test(request.headers.authorization ?? ""))
      return [403, failure("AccessDenied")];
    if (refusals > 0 || (every > 0 && answers.length % every === 0)) {
      refusals = Math.max(0, refusals - 1);
      return [503, failure("SlowDown")];
    }
    if (request.method === "GET" && url.searchParams.has("list-type"))
      return [200, page(name, url.searchParams)];
    const found = objects.get(name);
    if (request.method === "PUT") {
      if (request.headers["if-none-match"] === "*" && found) return [412, failure("PreconditionFailed")];
      objects.set(name, Buffer.concat(chunks));
      return [200, ""];
    }
    if (request.method === "DELETE") {
      objects.delete(name);
      return [204, ""];
    }
    return found ? [200, found] : [404, failure("NoSuchKey")];
  };
  const page = (bucket: string, query: URLSearchParams) => {
    const prefix = `${bucket.replace(/\/$/, "")}/${query.get("prefix") ?? ""}`;
    const names = [...objects.keys()].filter((name) => name.startsWith(prefix)).sort();
    const from = Number(query.get("continuation-token") ?? 0);
    const entries = names.slice(from, from + PAGE).map((name) => {
      const key = name.slice(bucket.replace(/\/$/, "").length + 1);
      const size = objects.get(name)!.length;
      return `<Contents><Key>${key}</Key><Size>${size}</Size><LastModified>2026-01-01T00:00:00Z</LastModified><ETag>"e"</ETag><StorageClass>STANDARD</StorageClass></Contents>`;
    });
    const isLast = from + PAGE >= names.length;
    const next = isLast ? "" : `<NextContinuationToken>${from + PAGE}</NextContinuationToken>`;
    return `<?xml version="1.0"?><ListBucketResult><IsTruncated>${!isLast}</IsTruncated>${next}${entries.join("")}</ListBucketResult>`;
  };
  const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    const [status, body] = await answer(request);
    answers.push(`${request.method} ${status}`);
    response.writeHead(status, { "content-length": Buffer.byteLength(body), etag: '"e"' });
    response.end(request.method === "HEAD" ? undefined : body);
  }).listen(0, "127.0.0.1");
  await new Promise((ready) => server.once("listening", ready));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    answers,
    busy: (requests) => {
      refusals = requests;
    },
    busyEach: (n) => {
      every = n;
    },
    close: () => void server.close(),
  };
}

const failure = (code: string) =>
  `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`;
