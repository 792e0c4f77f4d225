/** What commands tell on stderr while they work; stdout is for answers. */
import { Florence2Error } from "../core/errors.ts";
import type { ProgressEvent } from "../model/loading/load.ts";

/** The cells of a bar. */
const CELLS = 30;
/** Takes the cursor back to the beginning of the line, and empties it. */
const ANEW = "\r\x1b[K";

/** A line that stays. */
export function note(text: string): void {
  process.stderr.write(`${process.stderr.isTTY ? ANEW : ""}${text}\n`);
}

/** In a terminal, a line that gives way to the next one. */
export function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`${ANEW}${text}`);
}

/** A bar while a model is downloaded and loaded: `onProgress` of `fromPretrained`. */
export function showLoading(event: ProgressEvent): void {
  if (event.status === "progress_total") showProgress(`downloading ${bar(event)}`);
  if (event.status === "load") showProgress(`loading ${bar(event)}`);
}

function bar({ loaded, total }: { readonly loaded: number; readonly total: number }): string {
  const share = total > 0 ? loaded / total : 1;
  const megabytes = `${(loaded / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`;
  const cells = "#".repeat(Math.round(CELLS * share)).padEnd(CELLS, ".");
  return `[${cells}] ${Math.floor(100 * share)} % ${megabytes}`;
}

/** Says what went wrong, and where the options are listed if it was them; gives the exit code. */
export function fail(error: unknown, command: string): number {
  const isMisspelt = error instanceof TypeError && /^ERR_PARSE_ARGS/.test(String(Object(error).code));
  if (isMisspelt) note(`${error.message}\n${command} --help lists the options.`);
  else if (error instanceof Florence2Error) note(error.message);
  else note(error instanceof Error ? `${error.stack}` : String(error));
  return 1;
}
