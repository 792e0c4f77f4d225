/** The servers that a queue may be on, for tests that hold on each of them. */
import { hasPostgres, startPostgres } from "./postgres.ts";
import { hasRedis, startRedis } from "./redis.ts";

export interface StartedQueue {
  readonly url: string;
  /** Empties it, as if it were new. */
  flush(): void;
  /** Kills it, and starts it again with what it had on its disk. */
  restart(): Promise<void>;
  stop(): void;
}

export interface QueueServer {
  readonly name: string;
  readonly isHere: boolean;
  readonly start: () => Promise<StartedQueue>;
}

export const redis: QueueServer = { name: "Redis", isHere: hasRedis, start: () => startRedis() };
export const postgres: QueueServer = { name: "PostgreSQL", isHere: hasPostgres, start: startPostgres };
export const queues: readonly QueueServer[] = [redis, postgres];
