import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** One timed case. Rates follow from the least bytes and operations that it needs. */
export interface Row {
  readonly kernel: string;
  readonly variant: string;
  readonly case: string;
  /** Median; the shortest and the third quartile say how steady the machine was. */
  readonly ms: number;
  readonly fastest: number;
  readonly p75: number;
  readonly samples: number;
  readonly gigabytesPerSecond: number;
  readonly gigaflopsPerSecond: number;
  /** Of the bytes per second that the copy kernel moved in the same run. */
  readonly shareOfCopy: number;
}

export interface Report {
  readonly adapter: string;
  readonly runtime: string;
  readonly commit: string;
  readonly date: string;
  readonly copyGigabytesPerSecond: number;
  readonly rows: readonly Row[];
}

const COLUMNS: readonly (readonly [title: string, width: number, cell: (row: Row) => string])[] = [
  ["kernel", 20, ({ kernel }) => kernel],
  ["variant", 14, ({ variant }) => variant],
  ["case", 36, (row) => row.case],
  ["ms", 10, ({ ms }) => threeDigits(ms)],
  ["GB/s", 10, ({ gigabytesPerSecond }) => threeDigits(gigabytesPerSecond)],
  ["GFLOP/s", 10, ({ gigaflopsPerSecond }) => threeDigits(gigaflopsPerSecond)],
  ["of copy", 8, ({ shareOfCopy }) => `${Math.round(100 * shareOfCopy)} %`],
];

const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
const pad = (text: string, width: number, isText: boolean) =>
  isText ? text.padEnd(width) : text.padStart(width);

/** The first two lines of a table in Markdown; `tableRow` makes the others, one by one as they come. */
export function tableHead(): string {
  const titles = COLUMNS.map(([title, width], i) => pad(title, width, i < 3));
  const rules = COLUMNS.map(([, width], i) => (i < 3 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return `${line(titles)}\n${line(rules)}`;
}

export function tableRow(row: Row): string {
  return line(COLUMNS.map(([, width, cell], i) => pad(cell(row), width, i < 3)));
}

export function writeReport(file: string, report: Report): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
}

/** The commit that was measured, marked when files differ from it; empty outside of a checkout. */
export function currentCommit(): string {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "";
  }
}

function threeDigits(value: number): string {
  if (value === 0) return "0";
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
