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

export interface BatchUsage {
  input_tokens: number;
  output_tokens: number;
  total_tokens: number;
}

/** A batch as clients see it, and as it is kept. Times in seconds. */
export interface Batch {
  readonly id: string;
  readonly object: "batch";
  readonly endpoint: Endpoint;
  readonly model: string | null;
  errors: { readonly object: "list"; readonly data: readonly BatchError[] } | null;
  readonly input_file_id: string;
  readonly completion_window: string;
  status: BatchStatus;
  output_file_id: string | null;
  error_file_id: string | null;
  readonly created_at: number;
  in_progress_at: number | null;
  readonly expires_at: number;
  finalizing_at: number | null;
  completed_at: number | null;
  failed_at: number | null;
  expired_at: number | null;
  cancelling_at: number | null;
  cancelled_at: number | null;
  request_counts: { total: number; completed: number; failed: number };
  usage: BatchUsage;
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

/** What became of a line: a line of the output file, or of the error file. */
export interface BatchResult {
  readonly id: string;
  readonly custom_id: string;
  readonly response: {
    readonly status_code: number;
    readonly request_id: string;
    readonly body: unknown;
  } | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

/**
 * What computes batches: the embedded engine of this server, or a queue that several servers share. It reads and
 * writes the batches of a `BatchStore`.
 */
export interface BatchEngine {
  /** Takes up what was not finished when the last process ended. */
  start(): Promise<void>;
  submit(batch: Batch): void;
  /** The batch ends as `cancelled`, with what is done in its output file. */
  cancel(batch: Batch): Promise<void>;
  /** Starts no more lines, waits for those that run. The rest is done after the next start. */
  stop(): Promise<void>;
}
