import { expect } from "vitest";
import type { ErrorCode } from "../../core/errors.ts";

/** What a Florence2Error with this code looks like, its message matching each of the patterns. */
export function florenceError(code: ErrorCode, ...patterns: readonly (string | RegExp)[]): Error {
  return expect.toSatisfy(
    (error: { name?: string; code?: string; message?: string }) =>
      error?.name === "Florence2Error" &&
      error.code === code &&
      patterns.every((pattern) =>
        typeof pattern === "string" ? error.message?.includes(pattern) : pattern.test(error.message ?? ""),
      ),
    `a Florence2Error ${code} matching ${patterns.join(", ")}`,
  );
}
