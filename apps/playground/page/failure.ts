/** A failure with a code, as the library, the server and this page have them; it survives the way out of a worker. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Any thrown value as a failure. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  return new Failure(typeof code === "string" ? code : "unexpected", String(message ?? error));
}

export const isAbort = (error: unknown): boolean =>
  error instanceof DOMException && error.name === "AbortError";
