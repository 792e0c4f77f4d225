import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import type { Report as DeviceReport } from "../commands/report/document.ts";
import { Florence2Error } from "../core/errors.ts";
import type { KernelFindings, KernelRow, Limits } from "../measure/kernels.ts";
import type { ModelFindings, PhaseRow } from "../measure/model.ts";
import type { Origin } from "../measure/origin.ts";
import {
  type Column,
  figure,
  mebibytes,
  milliseconds,
  percent,
  tableHead,
  tableRow,
  text,
  threeDigits,
} from "../measure/table.ts";
import type { Measured } from "../measure/timing.ts";
import { type CpuReport, cpuSection } from "./cpu_report.ts";
import { type PeersReport, peersSection } from "./peers/report.ts";
import { phasePlot } from "./plot.ts";
import { sideBySide } from "./side_by_side.ts";

export interface KernelReport extends KernelFindings {
  readonly part: "kernels";
  readonly origin: Origin;
}

export interface ModelReport extends ModelFindings {
  readonly part: "model";
  readonly origin: Origin;
  readonly model: string;
  /** The most memory of the whole process up to the end, in bytes; a software adapter's own is in it. */
  readonly hostPeakBytes: number;
}

export const KERNEL_COLUMNS: readonly Column<KernelRow>[] = [
  text("kernel", 18, ({ kernel }) => kernel),
  text("variant", 10, ({ variant }) => variant),
  text("case", 40, (row) => row.case),
  figure("ms", ({ ms }) => milliseconds(ms)),
  figure("GPU ms", ({ gpuMs }) => milliseconds(gpuMs)),
  figure("GB/s", ({ gigabytesPerSecond }) => threeDigits(gigabytesPerSecond)),
  figure("GFLOP/s", ({ gigaflopsPerSecond }) => threeDigits(gigaflopsPerSecond)),
  figure("of copy", ({ shareOfCopy }) => percent(shareOfCopy)),
  figure("of multiply-add", ({ shareOfMultiplyAdd }) => percent(shareOfMultiplyAdd)),
];

export const PHASE_COLUMNS: readonly Column<PhaseRow>[] = [
  text("phase", 36, ({ phase }) => (phase.startsWith("<") ? phase.replace(/<.*>/, "`$&`") : phase)),
  figure("batch", ({ batch }) => String(batch)),
  figure("tokens", ({ tokens }) => (tokens > 0 ? String(tokens) : "")),
  figure("ms", ({ ms }) => milliseconds(ms)),
  figure("fastest", ({ fastest }) => milliseconds(fastest)),
  figure("p75", ({ p75 }) => milliseconds(p75)),
  figure("GPU ms", ({ gpuMs }) => milliseconds(gpuMs)),
  figure("host ms", ({ hostMs }) => milliseconds(hostMs)),
  figure("dispatches", ({ dispatches }) => threeDigits(dispatches)),
  figure("submits", ({ submits }) => threeDigits(submits)),
  figure("read-backs", ({ readbacks }) => threeDigits(readbacks)),
  figure("objects", ({ objects }) => threeDigits(objects)),
  figure("MiB", ({ peakBytes }) => mebibytes(peakBytes)),
];

export type Report = KernelReport | ModelReport | PeersReport | CpuReport;

/** Writes a report into its adapter's folder, with a plot of a model's phases beside it. Returns the path. */
export function writeReport(results: string, report: Report): string {
  const name = nameOf(report);
  const file = join(results, fileName(report.origin.adapter), `${fileName(name)}.json`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(report, sixDigits, 2)}\n`);
  if (report.part === "model") writeFileSync(plotFile(file), phasePlot(report));
  return file;
}

function nameOf(report: Report): string {
  if (report.part === "kernels") return "kernels";
  if (report.part === "model") return report.model;
  if (report.part !== "peers") return `${report.model}.${report.part}`;
  // Versions of a runtime compile the CPU engine differently.
  const [runtime] = report.origin.runtime.split(".");
  return `${report.model}.peers.${runtime!.replace(" v", "-")}`;
}

const sixDigits = (_: string, value: unknown) =>
  typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
const plotFile = (reportFile: string) => reportFile.replace(/json$/, "svg");
const fileName = (name: string) =>
  name
    .toLowerCase()
    .replaceAll(/[^a-z0-9.]+/g, "-")
    .replaceAll(/^-|-$/g, "");

const OPENING = "<!-- bench -->";
const CLOSING = "<!-- /bench -->";

/**
 * Puts the tables of the reports in a folder into a Markdown text, between its two markers.
 *
 * @throws {Florence2Error} `data_invalid` if the text has not both markers, or there are no reports
 */
export function withReports(markdown: string, results: string): string {
  const [start, end] = [markdown.indexOf(OPENING), markdown.indexOf(CLOSING)];
  if (start < 0 || end < start)
    throw new Florence2Error(
      "data_invalid",
      `The text has no ${OPENING} with a ${CLOSING} after it: put both where the tables are to be`,
    );
  const files = existsSync(results)
    ? readdirSync(results, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".json"))
    : [];
  if (files.length === 0)
    throw new Florence2Error("data_invalid", `There are no reports in ${results}: npm run bench writes them`);
  const found = files.sort().map((name) => {
    const file = join(results, name);
    return { file, report: JSON.parse(readFileSync(file, "utf8")) as Report | DeviceReport };
  });
  const ofDevices = found.flatMap(({ report }) => (report.part === "report" ? [report] : []));
  const sections = found.flatMap(({ file, report }) => {
    if (report.part === "report") return [];
    if (report.part === "model") return modelSection(report, `./${relative(results, plotFile(file))}`);
    if (report.part === "peers") return peersSection(report);
    return report.part === "kernels" ? kernelSection(report) : cpuSection(report);
  });
  if (ofDevices.length > 0) sections.unshift(sideBySide(ofDevices));
  return `${markdown.slice(0, start + OPENING.length)}\n${sections.join("\n\n")}\n${markdown.slice(end)}`;
}

function modelSection({ model, dtype, origin, hostPeakBytes, rows }: ModelReport, plot: string): string {
  const head = `**${model}**, weights in ${dtype}, on ${described(origin, rows)}; host ms are ${origin.hostClock}; the process had ${mebibytes(hostPeakBytes)} MiB at most.`;
  const table = [tableHead(PHASE_COLUMNS), ...rows.map((row) => tableRow(PHASE_COLUMNS, row))].join("\n");
  return `${head}\n\n${table}\n\n![Time of each phase](${plot})`;
}

interface VariantSummary {
  readonly name: string;
  /** The larger of its two shares, for each case. */
  readonly shares: readonly number[];
}

const SUMMARY_COLUMNS: readonly Column<VariantSummary>[] = [
  text("kernel", 32, ({ name }) => name),
  figure("cases", ({ shares }) => String(shares.length)),
  figure("min", ({ shares }) => percent(Math.min(...shares))),
  figure("max", ({ shares }) => percent(Math.max(...shares))),
];

/** A line for each variant, with the share that its cases reach of whichever limit they are closer to. */
function kernelSection({ origin, limits, limitsAfter, rows }: KernelReport): string {
  const variants = new Map<string, number[]>();
  for (const { kernel, variant, shareOfCopy, shareOfMultiplyAdd } of rows) {
    const name = `${kernel}, ${variant}`;
    const share = Math.max(shareOfCopy, shareOfMultiplyAdd);
    variants.set(name, [...(variants.get(name) ?? []), share]);
  }
  const rates = (unit: string, rate: keyof Limits) =>
    `${threeDigits(limits[rate])} ${unit} (${threeDigits(limitsAfter[rate])} ${unit} at the end)`;
  const head = `Kernels on ${described(origin, rows)}. Copying reaches ${rates("GB/s", "gigabytesPerSecond")}, multiplying and adding ${rates("GFLOP/s", "gigaflopsPerSecond")}; each case reaches this share of the nearer limit:`;
  const lines = [...variants].map(([name, shares]) => tableRow(SUMMARY_COLUMNS, { name, shares }));
  const table = `${head}\n\n${tableHead(SUMMARY_COLUMNS)}\n${lines.join("\n")}`;
  const choices = choicesOf(rows);
  if (choices.length === 0) return table;
  return `${table}\n\nThe variant that a case gets beside another that can serve it:\n\n${tableHead(CHOICE_COLUMNS)}\n${choices.map((choice) => tableRow(CHOICE_COLUMNS, choice)).join("\n")}`;
}

/** A case that a variant serves which is not taken. */
interface Choice {
  readonly taken: KernelRow;
  readonly other: KernelRow;
}

const CHOICE_COLUMNS: readonly Column<Choice>[] = [
  text("kernel", 10, ({ taken }) => taken.kernel),
  text("case", 42, ({ taken }) => taken.case),
  text("taken", 8, ({ taken }) => taken.variant),
  figure("ms", ({ taken }) => milliseconds(timeOf(taken))),
  text("other", 8, ({ other }) => other.variant),
  figure("ms", ({ other }) => milliseconds(timeOf(other))),
  figure("times as long", ({ taken, other }) => threeDigits(timeOf(other) / timeOf(taken))),
];

const timeOf = ({ gpuMs, ms }: KernelRow) => gpuMs ?? ms;

function choicesOf(rows: readonly KernelRow[]): Choice[] {
  return rows
    .filter(({ isDefault }) => isDefault)
    .flatMap((taken) =>
      rows
        .filter((row) => row !== taken && row.kernel === taken.kernel && row.case === taken.case)
        .map((other) => ({ taken, other })),
    );
}

function described(
  { adapter, processors, load, runtime, commit, date }: Origin,
  rows: readonly Pick<Measured, "samples">[],
): string {
  const samples = Math.min(...rows.map((row) => row.samples));
  return `${adapter}, ${runtime}, ${processors} processors with a load of ${load.toFixed(1)} before it began, ${samples} samples at least, ${commit}, ${date.slice(0, 10)}`;
}
