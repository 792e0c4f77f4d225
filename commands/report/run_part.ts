import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Failure, Message, PartResult, Row } from "./part.ts";

/** Seconds that a process has beyond its time, to come to an end by itself. */
const GRACE = 1.5;
/** An item is given up after this share of the time that was left when it began, or these seconds if that is more. */
const ITEM = { share: 0.5, seconds: 15 };
/** The last lines of what a process wrote when it ended without a word. */
const LAST_WORDS = 3;

export interface RunOptions {
  /** The part's name, and the address of its module. */
  readonly part: string;
  readonly module: string;
  readonly title: string;
  readonly device: "gpu" | "cpu";
  readonly seconds: number;
  /** The program that runs it. Default: `part_process`. */
  readonly program?: string;
  /** Seconds after which an item is given up. Default: as `ITEM` says. */
  readonly itemSeconds?: number;
  readonly onResult?: (result: PartResult) => void;
}

/**
 * Runs a part in a process of its own until it ends or its time is over. An item that hangs, or ends the process, is
 * recorded as a failure, and the rest goes on in a new process.
 */
export async function runPart(options: RunOptions): Promise<PartResult> {
  const started = performance.now();
  const end = started + 1000 * options.seconds;
  const secondsLeft = () => (end - performance.now()) / 1000;
  const result: Collected = { ...emptyResult(options), facts: {}, rows: [], failures: [], left: [] };
  const settled: string[] = [];
  while (result.outcome === "waiting") {
    const before = settled.length;
    const ended = await runOnce(options, settled, secondsLeft, result);
    result.seconds = (performance.now() - started) / 1000;
    if (result.reason !== undefined) result.outcome = "absent";
    else if (ended.how === "done") result.outcome = result.left.length > 0 ? "out of time" : "done";
    else if (ended.isOverTime) result.outcome = "out of time";
    // Another process can go on only where this one has got past an item.
    else if (settled.length === before) result.outcome = "failed";
    else if (secondsLeft() < 1) result.outcome = "out of time";
    options.onResult?.({ ...result });
  }
  return result;
}

/** The result of a part that was not begun. */
export function emptyResult({ part, title }: Pick<PartResult, "part" | "title">): PartResult {
  return { part, title, outcome: "waiting", seconds: 0, facts: {}, rows: [], failures: [], left: [] };
}

/** A result while it grows. */
type Collected = Omit<
  PartResult,
  "outcome" | "seconds" | "reason" | "facts" | "rows" | "failures" | "left"
> & {
  outcome: PartResult["outcome"];
  seconds: number;
  reason?: string;
  readonly facts: Record<string, unknown>;
  readonly rows: Row[];
  readonly failures: Failure[];
  readonly left: string[];
};

interface Ended {
  readonly how: "done" | "failed" | undefined;
  readonly isOverTime: boolean;
}

function runOnce(
  { module, device, program = siblingProgram(), itemSeconds, onResult }: RunOptions,
  settled: string[],
  secondsLeft: () => number,
  result: Collected,
): Promise<Ended> {
  return new Promise((resolve) => {
    const args = [module, device, String(secondsLeft()), ...settled];
    const child = fork(program, args, {
      serialization: "advanced",
      detached: process.platform !== "win32",
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    const words = lastWords(child);
    let [item, isGivenUp, isOverTime] = [undefined as string | undefined, false, false];
    let planned: readonly string[] = [];
    let how: Ended["how"];
    let itemTimer: NodeJS.Timeout | undefined;
    const partTimer = setTimeout(
      () => {
        isOverTime = true;
        endAll(child);
      },
      1000 * (secondsLeft() + GRACE),
    );
    child.on("message", (message: Message) => {
      if ("facts" in message) Object.assign(result.facts, message.facts);
      if ("row" in message) result.rows.push(message.row);
      if ("failure" in message) result.failures.push(message.failure);
      if ("planned" in message) planned = message.planned;
      if ("left" in message) result.left.push(message.left);
      if ("ended" in message) how = message.ended;
      if ("absent" in message) result.reason = message.absent;
      if ("settled" in message) {
        settled.push(message.settled);
        clearTimeout(itemTimer);
        item = undefined;
        onResult?.({ ...result });
      }
      if ("begun" in message) {
        item = message.begun;
        const seconds = itemSeconds ?? Math.max(ITEM.share * secondsLeft(), ITEM.seconds);
        itemTimer = setTimeout(() => {
          isGivenUp = true;
          result.failures.push({ item, message: `no result after ${seconds.toFixed(1)} s` });
          endAll(child);
        }, 1000 * seconds);
      }
    });
    child.on("error", ({ message }) => words.push(message));
    child.on("close", (code, signal) => {
      clearTimeout(partTimer);
      clearTimeout(itemTimer);
      if (isOverTime) {
        const unfinished = planned.length > 0 || item === undefined ? planned : [item];
        const told = new Set([...settled, ...result.left]);
        result.left.push(...unfinished.filter((name) => !told.has(name)));
      }
      if (item !== undefined) settled.push(item);
      if (!isOverTime && how === undefined && !isGivenUp) {
        const message = `its process ended with ${signal ?? `exit ${code}`}: ${words.join(" ")}`;
        result.failures.push({ item, message });
      }
      resolve({ how, isOverTime });
    });
  });
}

/** Ends a process and those that it has started: they have a process group of their own, but on Windows. */
function endAll(child: ChildProcess): void {
  try {
    if (process.platform !== "win32" && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
  child.kill("SIGKILL");
}

/** What the process writes for people is kept for the case that it says nothing else. */
function lastWords(child: ChildProcess): string[] {
  const words: string[] = [];
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    const lines = text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("Warning:"));
    words.push(...lines);
    words.splice(0, words.length - LAST_WORDS);
  });
  return words;
}

const siblingProgram = () => fileURLToPath(import.meta.url.replace(/run_part(\.[jt]s)$/, "part_process$1"));
