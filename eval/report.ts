import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolder } from "../files/make_folder.ts";
import { histogram, precisionRecallPlot, reliabilityPlot } from "./plots.ts";
import type { Origin } from "./predictions.ts";
import type { TaskFindings } from "./run.ts";

/** One figure a row, in Markdown, as wide as its cells. */
export function figuresTable(findings: readonly TaskFindings[]): string {
  const rows = findings.flatMap(({ task, prompts, figures }) =>
    Object.entries(figures).map(([name, value], i) => [
      i === 0 ? `\`${task}\`` : "",
      i === 0 ? String(prompts) : "",
      name,
      shown(value),
    ]),
  );
  return asTable(["task", "prompts", "figure", "value"], rows);
}

/** Rows in Markdown; every second column is of figures, to the right. */
export function asTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => (i % 2 === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(" | ")} |`;
  const rule = widths.map((width, i) => (i % 2 === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

/**
 * Writes `report.md` with the table and the plots, the plots as SVG, and `figures.json` into a folder.
 *
 * @param origin what was measured with what, for the head of the report
 * @param comparison a table to stand after the figures
 * @returns the path of the report
 */
export function writeReport(
  folder: string,
  findings: readonly TaskFindings[],
  origin: Origin,
  comparison?: string,
): string {
  makeFolder(folder);
  const plots = findings.flatMap(plotsOf);
  for (const { file, svg } of plots) writeFileSync(join(folder, file), svg);
  const figures = findings.map(({ task, prompts, figures }) => ({ task, prompts, figures }));
  writeFileSync(join(folder, "figures.json"), `${JSON.stringify({ origin, tasks: figures }, null, 2)}\n`);
  const sections = [
    "# Evaluation",
    Object.entries(origin)
      .map(([name, value]) => `- ${name}: ${value ?? "as the model has it"}`)
      .join("\n"),
    figuresTable(findings),
    ...(comparison ? [comparison] : []),
    ...plots.map(({ file, title }) => `![${title}](${file})`),
  ];
  const report = join(folder, "report.md");
  writeFileSync(report, `${sections.join("\n\n")}\n`);
  return report;
}

interface Plot {
  readonly file: string;
  readonly title: string;
  readonly svg: string;
}

function plotsOf({ task, distribution, precisions, reliability }: TaskFindings): Plot[] {
  const plots: Plot[] = [];
  const add = (kind: string, title: string, svg: string) =>
    plots.push({ file: `${task.toLowerCase().replaceAll(/[^a-z_]/g, "")}.${kind}.svg`, title, svg });
  if (precisions) add("precision", "precision over recall", precisionRecallPlot(precisions));
  if (reliability) add("reliability", "reliability of confidences", reliabilityPlot(reliability));
  if (distribution && distribution.values.length > 0) {
    const title = `${task}: ${distribution.name}`;
    add("distribution", title, histogram(title, distribution.name, distribution.values));
  }
  return plots;
}

function shown(value: number): string {
  if (Number.isNaN(value)) return "-";
  return Number.isInteger(value) && value > 1 ? String(value) : value.toFixed(3);
}
