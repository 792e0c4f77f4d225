import { randomUUID } from "node:crypto";
import type { BatchLine } from "./batch.ts";

/** The result of a line: a line of the output file, or of the error file. */
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

const newId = () => `batch_req_${randomUUID().replaceAll("-", "")}`;

export function answered(
  { custom_id }: BatchLine,
  status: number,
  requestId: string,
  body: unknown,
): BatchResult {
  return {
    id: newId(),
    custom_id,
    response: { status_code: status, request_id: requestId, body },
    error: null,
  };
}

export function failed({ custom_id }: BatchLine, code: string, message: string): BatchResult {
  return { id: newId(), custom_id, response: null, error: { code, message } };
}

/** Of the output file; others are of the error file. */
export const isGood = ({ error, response }: BatchResult): boolean =>
  error === null && response!.status_code < 400;

interface Usage {
  readonly prompt_tokens?: number;
  readonly completion_tokens?: number;
  readonly input_tokens?: number;
  readonly output_tokens?: number;
}

/** Counts of results. */
export interface Tally {
  readonly completed: number;
  readonly failed: number;
  readonly input: number;
  readonly output: number;
}

export function tallyOf(results: Iterable<BatchResult>): Tally {
  let [completed, failures, input, output] = [0, 0, 0, 0];
  for (const result of results) {
    if (isGood(result)) completed++;
    else failures++;
    const found = (result.response?.body as { readonly usage?: Usage } | null | undefined)?.usage;
    input += found?.prompt_tokens ?? found?.input_tokens ?? 0;
    output += found?.completion_tokens ?? found?.output_tokens ?? 0;
  }
  return { completed, failed: failures, input, output };
}

export function sumOf(tallies: Iterable<Tally>): Tally {
  let sum: Tally = { completed: 0, failed: 0, input: 0, output: 0 };
  for (const { completed, failed, input, output } of tallies)
    sum = {
      completed: sum.completed + completed,
      failed: sum.failed + failed,
      input: sum.input + input,
      output: sum.output + output,
    };
  return sum;
}
