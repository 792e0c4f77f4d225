/** Queues of chunks: BullMQ on Redis (or Valkey), or on PostgreSQL. Both are loaded when they are used. */
import { setTimeout as wait } from "node:timers/promises";
import type { BackendFactory, ConnectionOptions, IQueueBackend, JobsOptions, Queue } from "bullmq";
import { Florence2Error } from "florence2-webgpu";

const ATTEMPTS = 5;
/** Milliseconds within which the server of a queue must answer a producer, and may take for a farewell. */
const [CONNECT, CLOSE] = [10_000, 2000];

interface Connected {
  readonly bullmq: typeof import("bullmq");
  /** Undefined stands for Redis. */
  readonly backend: undefined;
  /** Producers fail soon where a worker waits for the server to come back. */
  connection(waits: boolean): ConnectionOptions;
}

/**
 * The parts of BullMQ, and how it reaches the server at a URL.
 *
 * @throws {Florence2Error} `option_invalid` for another URL; `dependency_missing`
 */
export async function connectQueue(url: string): Promise<Connected> {
  const isPostgres = /^postgres(ql)?:/i.test(url);
  if ((!isPostgres && !/^rediss?:\/\/[^/]/i.test(url)) || !URL.canParse(url)) {
    const shown = url.replace(/\/\/[^/@]*@/, "//");
    const message = `--queue is ${shown}, expected redis://host:6379, rediss:// or postgres://user@host/database.`;
    throw new Florence2Error("option_invalid", message, { queue: shown });
  }
  const client = isPostgres ? "pg" : "ioredis";
  const load = <Module>(loading: Promise<Module>): Promise<Module> =>
    loading.catch((cause: unknown) => {
      const message = `--queue needs the packages bullmq and ${client}: npm install bullmq ${client}`;
      throw new Florence2Error("dependency_missing", message, {}, cause);
    });
  const bullmq = await load(import("bullmq"));
  await load(import(client));
  const backend = isPostgres
    ? (bullmq.createPostgresBackend as unknown as BackendFactory<IQueueBackend>)
    : undefined;
  const connection = (waits: boolean): ConnectionOptions =>
    (isPostgres
      ? { connectionString: url, migrate: true }
      : { url, maxRetriesPerRequest: waits ? null : 3 }) as ConnectionOptions;
  return { bullmq, backend: backend as undefined, connection };
}

/**
 * Opens a queue for a while.
 *
 * @throws {Florence2Error} `download_failed` if its server cannot be reached
 */
export async function withQueue<Data, Value>(
  url: string,
  name: string,
  use: (queue: Queue<Data>) => Promise<Value>,
): Promise<Value> {
  const { bullmq, backend, connection } = await connectQueue(url);
  const options = { connection: connection(false), streams: { events: { maxLen: 100 } } };
  const queue = new bullmq.Queue<Data>(name, options, backend);
  let refused: unknown;
  const refusal = new Promise<never>((_, fail) => {
    queue.on("error", (error) => {
      refused = error;
      if (isRefusal(error)) fail(error);
    });
  });
  refusal.catch(() => {});
  let isOpen = false;
  try {
    isOpen = await Promise.race([queue.waitUntilReady().then(() => true), refusal, wait(CONNECT, false)]);
    if (!isOpen) throw refused ?? new Error(`no answer within ${CONNECT / 1000} s`);
    return await use(queue as Queue<Data>);
  } catch (error) {
    if (error instanceof Florence2Error || (isOpen && !refused)) throw error;
    const cause = refused ?? error;
    if (isRefusal(cause)) throw refusalOf(url, cause);
    const message = `The queue at ${hostOf(url)} cannot be used: ${reasonOf(cause)}. Start its server, or name another one by --queue.`;
    throw new Florence2Error("download_failed", message, { queue: hostOf(url) }, error);
  } finally {
    // A server that is away keeps a farewell waiting.
    await Promise.race([queue.close().catch(() => {}), wait(CLOSE)]);
  }
}

/** What an error says, without a full stop; that of several addresses says nothing itself. */
export function reasonOf(error: unknown): string {
  const { message, errors } = error as Partial<AggregateError>;
  const reason = message || errors?.map((one) => reasonOf(one)).join(", ") || String(error);
  return reason.replace(/\.$/, "");
}

/** Whether a server refuses user or password: it does so again however long one waits. */
export const isRefusal = (error: unknown): boolean =>
  /^(NOAUTH|WRONGPASS|NOPERM)\b|authentication failed|no password|must be a string|role ".*" does not exist/i.test(
    reasonOf(error),
  );

export function refusalOf(url: string, error: unknown): Florence2Error {
  const message = `The queue at ${hostOf(url)} refuses this user or password: ${reasonOf(error)}. Give them in --queue: redis://:PASSWORD@host, postgres://USER:PASSWORD@host/database.`;
  return new Florence2Error("access_denied", message, { queue: hostOf(url) }, error);
}

/** A job of a chunk. Of two with one id, the second changes nothing while the first is there. */
export function chunkJob<Data>(id: string, data: Data, priority?: number) {
  const opts: JobsOptions = {
    jobId: id,
    attempts: ATTEMPTS,
    backoff: { type: "exponential", delay: 5000, jitter: 0.5 },
    // The parts record finished work; a job that stays would keep its chunk from being added again.
    removeOnComplete: true,
    keepLogs: 0,
    ...(priority !== undefined && { priority }),
  };
  return { name: "chunk", data, opts };
}

/** Without user and password. */
export const hostOf = (url: string): string => new URL(url).host;
