export const ENDPOINTS = ["/v1/chat/completions", "/v1/responses", "/v1/florence2"] as const;
export type Endpoint = (typeof ENDPOINTS)[number];

export type BatchStatus =
  | "validating"
  | "failed"
  | "in_progress"
  | "finalizing"
  | "completed"
  | "expired"
  | "cancelling"
  | "cancelled";

export interface BatchError {
  readonly code: string;
  readonly message: string;
  readonly param: string | null;
  /** From 1. */
  readonly line: number | null;
}

/** A batch as clients see it, and as it is kept. Times in seconds. */
export interface Batch {
  readonly id: string;
  readonly object: "batch";
  readonly endpoint: Endpoint;
  readonly model: string | null;
  readonly errors: { readonly object: "list"; readonly data: readonly BatchError[] } | null;
  readonly input_file_id: string;
  readonly completion_window: string;
  readonly status: BatchStatus;
  readonly output_file_id: string | null;
  readonly error_file_id: string | null;
  readonly created_at: number;
  readonly in_progress_at: number | null;
  readonly expires_at: number;
  readonly finalizing_at: number | null;
  readonly completed_at: number | null;
  readonly failed_at: number | null;
  readonly expired_at: number | null;
  readonly cancelling_at: number | null;
  readonly cancelled_at: number | null;
  readonly request_counts: { readonly total: number; readonly completed: number; readonly failed: number };
  readonly usage: {
    readonly input_tokens: number;
    readonly output_tokens: number;
    readonly total_tokens: number;
  };
  readonly metadata: Readonly<Record<string, string>> | null;
  /** Seconds that the output files are kept. */
  readonly output_expires_after: number | null;
}

export const isFinished = ({ status }: Batch): boolean =>
  ["completed", "failed", "expired", "cancelled"].includes(status);

/** One line of an input file, checked. */
export interface BatchLine {
  readonly custom_id: string;
  readonly body: Record<string, unknown>;
}

/** Computes batches: on this server alone, or on all servers and workers of a queue. */
export interface BatchEngine {
  /** Resumes the batches that were unfinished when the last process ended. */
  start(): Promise<void>;
  submit(id: string): void;
  /** Starts no more lines, waits for those that run. The rest is done after the next start, or by others. */
  stop(): Promise<void>;
}

/** Now, in seconds. */
export const now = (): number => Math.floor(Date.now() / 1000);
