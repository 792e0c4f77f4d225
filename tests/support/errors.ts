import { expect } from "vitest";
import { type ErrorCode, Florence2Error } from "../../core/errors.ts";

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

/** The Florence2Error that an action throws; anything else fails the test. */
export function failure(action: () => unknown): Florence2Error {
  try {
    action();
  } catch (error) {
    if (error instanceof Florence2Error) return error;
    throw error;
  }
  throw new Error("the action succeeded");
}
