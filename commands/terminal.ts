/** Messages of commands on stderr while they work; stdout is for answers. */
import { Florence2Error, messageOf } from "../core/errors.ts";
import type { ProgressEvent } from "../model/loading/load.ts";

/** The cells of a bar. */
const CELLS = 30;
/** Takes the cursor back to the beginning of the line, and empties it. */
const ANEW = "\r\x1b[K";
/** Milliseconds between two states of one bar. */
const FRAME = 80;
/** Milliseconds of silence after which a command says what it is doing. */
const PATIENCE = 1000;

let isQuiet = false;
let lastBar = Number.NEGATIVE_INFINITY;

/** Leaves errors alone on stderr. */
export function beQuiet(quiet: boolean): void {
  isQuiet = quiet;
}

/** A line that stays. */
export function note(text: string): void {
  if (!isQuiet) process.stderr.write(`${process.stderr.isTTY ? ANEW : ""}${text}\n`);
}

/** In a terminal, a line that gives way to the next one. */
export function showProgress(text: string): void {
  if (process.stderr.isTTY && !isQuiet) process.stderr.write(`${ANEW}${text}`);
}

/** A bar while a model is downloaded and loaded: `onProgress` of `fromPretrained`. */
export function showLoading(event: ProgressEvent): void {
  const word = { progress_total: "downloading", load: "loading" }[event.status as string];
  if (word === undefined || !("loaded" in event)) return;
  const isLast = event.loaded >= event.total;
  if (!isLast && performance.now() - lastBar < FRAME) return;
  lastBar = isLast ? Number.NEGATIVE_INFINITY : performance.now();
  showProgress(`${word} ${bar(event)}`);
}

function bar({ loaded, total }: { readonly loaded: number; readonly total: number }): string {
  const share = total > 0 ? loaded / total : 1;
  const megabytes = `${(loaded / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`;
  const cells = "#".repeat(Math.round(CELLS * share)).padEnd(CELLS, ".");
  return `[${cells}] ${Math.floor(100 * share)} % ${megabytes}`;
}

/** Does something that may take long: after a second of silence says what, in a terminal with the seconds so far. */
export async function working<Value>(what: string, work: () => Promise<Value>): Promise<Value> {
  const started = performance.now();
  let isSaid = false;
  const timer = setInterval(() => {
    if (process.stderr.isTTY) showProgress(`${what} (${seconds(started, 0)})`);
    else if (!isSaid) note(`${what} ...`);
    isSaid = true;
  }, PATIENCE);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    if (isSaid) showProgress("");
  }
}

/** The time since `started`, a reading of `performance.now()`. */
export function seconds(started: number, digits = 2): string {
  return `${((performance.now() - started) / 1000).toFixed(digits)} s`;
}

/** A number of things: `counted(1, "token")` is "1 token", `counted(2, "token")` "2 tokens". */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** Says what went wrong, in one line unless it is a fault of this library; gives the exit code. */
export function fail(error: unknown): number {
  const isKnown = error instanceof Florence2Error || (error instanceof Error && "syscall" in error);
  const text = isKnown || !(error instanceof Error) ? errorLine(error) : `${error.stack}`;
  process.stderr.write(`${process.stderr.isTTY ? ANEW : ""}${text}\n`);
  return 1;
}

/** An error as one line. */
export const errorLine = (error: unknown): string => messageOf(error).replace(/\s*\n\s*/g, " ");
