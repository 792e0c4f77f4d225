import type { Context } from "hono";

/** The facts of one HTTP request, for its log line and its metrics. */
export interface RequestRecord {
  readonly id: string;
  readonly arrival: number;
  /** Of the key that was presented. */
  keyName: string | undefined;
  /** Fields of the log line. Never prompts, keys, images, or URLs of images. */
  readonly notes: Record<string, unknown>;
  /** The answer is a stream, which tells of its end itself. */
  isStreaming: boolean;
  /** Writes the log line and counts; the first call does it. */
  finish(status: number): void;
}

export interface Variables {
  record: RequestRecord;
}

export type AppContext = Context<{ Variables: Variables }>;
