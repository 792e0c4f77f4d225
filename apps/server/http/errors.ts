import type { Florence2Error } from "florence2-webgpu";

export type ErrorKind =
  | "invalid_request_error"
  | "authentication_error"
  | "permission_error"
  | "not_found_error"
  | "rate_limit_error"
  | "server_error";

export interface ApiErrorOptions {
  /** The field of the request that is at fault, such as `messages[0].content`. */
  readonly param?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** A failure as the caller gets it: a status, and a body that clients of OpenAI's API turn into their own errors. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly code: string;
  readonly param: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, message: string, options: ApiErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = status;
    this.code = code;
    this.param = options.param ?? null;
    this.headers = options.headers ?? {};
  }

  get type(): ErrorKind {
    return KINDS[this.status] ?? (this.status >= 500 ? "server_error" : "invalid_request_error");
  }

  /** All four keys, always: clients fail on a body that lacks one. */
  get body(): { error: { message: string; type: ErrorKind; param: string | null; code: string } } {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.code } };
  }

  toResponse(): Response {
    // A repetition helps only where the state of the server may have changed.
    const retry: Record<string, string> =
      this.status >= 500 && this.status !== 503 ? { "x-should-retry": "false" } : {};
    return Response.json(this.body, { status: this.status, headers: { ...retry, ...this.headers } });
  }
}

const KINDS: Readonly<Record<number, ErrorKind>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
};

/** The caller closed the connection; no one reads the answer. The status is the one of the log. */
export class ClientGone extends ApiError {
  constructor() {
    super(499, "client_closed_request", "The client closed the connection.");
  }
}

export function badRequest(code: string, message: string, param?: string): ApiError {
  return new ApiError(400, code, message, { param });
}

/** How the library's errors reach a caller: status and code. All others are faults of the server. */
const STATUS_OF: Readonly<Record<string, readonly [status: number, code: string]>> = {
  option_invalid: [400, "option_invalid"],
  task_invalid: [400, "task_invalid"],
  prompt_too_long: [400, "prompt_too_long"],
  token_invalid: [400, "token_invalid"],
  image_invalid: [400, "invalid_image"],
  image_unsupported: [400, "invalid_image"],
  image_corrupt: [400, "invalid_image"],
  image_too_large: [413, "image_too_large"],
  gpu_lost: [503, "gpu_lost"],
  gpu_out_of_memory: [503, "gpu_out_of_memory"],
  cpu_failed: [503, "cpu_failed"],
  cpu_out_of_memory: [503, "cpu_out_of_memory"],
  disposed: [503, "model_unavailable"],
};

/** Any thrown value as an error response, without paths, stacks or addresses of the server. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  // By name: a second copy of the library has a class of its own.
  if (error instanceof Error && error.name === "Florence2Error") {
    const { code, message } = error as Florence2Error;
    const mapped = STATUS_OF[code];
    if (mapped) {
      const [status, name] = mapped;
      const headers: Record<string, string> = status === 503 ? { "retry-after": "5" } : {};
      const text = status < 500 ? message : "The model is not available at the moment.";
      return new ApiError(status, name, text, { headers, cause: error });
    }
  }
  return new ApiError(500, "server_error", "The server failed to answer; its log has the details.", {
    cause: error,
  });
}
