import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolder } from "../../files/make_folder.ts";
import type { Origin } from "../../measure/origin.ts";
import { type Decision, decisionsInWords, decisionsOf } from "./decisions.ts";
import type { Failure, Part, PartResult } from "./part.ts";

/** `report.json`. */
export interface Report {
  readonly part: "report";
  readonly version: string;
  readonly origin: Origin;
  readonly device: "gpu" | "cpu";
  readonly minutes: number;
  readonly results: readonly PartResult[];
  readonly decisions: readonly Decision[];
}

export const withDecisions = (report: Omit<Report, "part" | "decisions">): Report => ({
  part: "report",
  ...report,
  decisions: decisionsOf(report.results),
});

/** Writes report.json and report.md. Each is whole at any time, however early the command is ended. */
export function writeReport(folder: string, report: Report, parts: Readonly<Record<string, Part>>): void {
  makeFolder(folder);
  replaceFile(join(folder, "report.json"), `${JSON.stringify(report, plainValue, 2)}\n`);
  replaceFile(join(folder, "report.md"), inMarkdown(report, parts));
}

function replaceFile(path: string, content: string): void {
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}

/** JSON knows neither infinity nor NaN; six digits are enough. */
function plainValue(_: string, value: unknown): unknown {
  if (typeof value !== "number" || Number.isInteger(value)) return value;
  return Number.isFinite(value) ? Number(value.toPrecision(6)) : String(value);
}

function inMarkdown(report: Report, parts: Readonly<Record<string, Part>>): string {
  const { version, origin, minutes, results, decisions } = report;
  const sections = results.map((result) => {
    const body = result.rows.length > 0 || Object.keys(result.facts).length > 0;
    const words = body ? parts[result.part]!.inWords(result) : "";
    return [`## ${result.title}`, stateOf(result), ...failuresOf(result), words].filter(Boolean).join("\n\n");
  });
  return `${[
    `# florence2-webgpu ${version} on ${origin.adapter}`,
    `${origin.runtime}; ${origin.processors} processors (${origin.processor}) with a load of ${origin.load.toFixed(1)} before it began; ${origin.commit || "no checkout"}; ${origin.date}; at most ${minutes} minutes. All of it is in report.json.`,
    ...sections,
    "## Decisions",
    decisionsInWords(decisions),
  ].join("\n\n")}\n`;
}

function stateOf({ outcome, reason, seconds, failures, left }: PartResult): string {
  const took = `after ${seconds.toFixed(1)} s`;
  const rest = left.length > 0 ? ` ${left.length} items were left.` : "";
  const failed = failures.length > 0 ? ` Failures: ${failures.length}.` : "";
  const states: Record<PartResult["outcome"], string> = {
    done: `Done ${took}.`,
    "out of time": `Out of time ${took}.${rest}`,
    failed: `Failed ${took}.`,
    absent: `Absent: ${reason}.`,
    waiting: "Not done yet.",
  };
  return states[outcome] + failed;
}

function failuresOf({ failures }: PartResult): string[] {
  if (failures.length === 0) return [];
  return [failures.map((failure) => `- ${inLine(failure)}`).join("\n")];
}

function inLine({ item, code, message }: Failure): string {
  const [first, ...others] = message.trim().split("\n");
  const rest = others.map((line) => `\n  ${line}`).join("");
  return `${item === undefined ? "" : `**${item}**: `}${code ? `${code}: ` : ""}${first}${rest}`;
}
