/** Reports of the CPU engine alone: time by kernel, and the gain of threads. */
import type { CpuLimits } from "../measure/cpu_limits.ts";
import { CPU_PROFILE_COLUMNS, type CpuProfileRow } from "../measure/cpu_profile.ts";
import type { GrowthRow } from "../measure/growth.ts";
import type { Origin } from "../measure/origin.ts";
import { figure, milliseconds, percent, tableHead, tableRow, text, threeDigits } from "../measure/table.ts";

export interface CpuProfileReport {
  readonly part: "profile";
  readonly origin: Origin;
  readonly model: string;
  readonly limits: CpuLimits;
  readonly rows: readonly CpuProfileRow[];
}

export interface GrowthReport {
  readonly part: "growth";
  readonly origin: Origin;
  readonly model: string;
  /** Numbers of threads, in the order of each row's times. */
  readonly threads: readonly number[];
  readonly rows: readonly GrowthRow[];
}

export type CpuReport = CpuProfileReport | GrowthReport;

/** Kernels with less of a phase's time than this are in the JSON alone. */
const SHOWN_SHARE = 0.02;

/** A report as Markdown, with its device, commit and date. */
export function cpuSection(report: CpuReport): string {
  const { adapter, processor, processors, load, runtime, commit, date } = report.origin;
  const where = `${adapter} on ${processor}, ${runtime}, ${processors} processors with a load of ${load.toFixed(1)} before it began, ${commit}, ${date.slice(0, 10)}`;
  if (report.part === "growth")
    return `**${report.model}** with more threads and larger batches: ${where}. "gain" is how many times as fast the most threads are as one.\n\n${growthTable(report)}`;
  const { gigaflopsPerSecond, gigabytesPerSecond } = report.limits;
  const shown = report.rows.filter(({ share }) => share >= SHOWN_SHARE);
  const head = `Where the time of **${report.model}** goes, kernel by kernel: ${where}. Multiply-adds reach ${threeDigits(gigaflopsPerSecond)} GFLOP/s, copying ${threeDigits(gigabytesPerSecond)} GB/s. Left out is what takes less than ${percent(SHOWN_SHARE)} of its phase.`;
  return [
    head,
    "",
    tableHead(CPU_PROFILE_COLUMNS),
    ...shown.map((row) => tableRow(CPU_PROFILE_COLUMNS, row)),
  ].join("\n");
}

/** Milliseconds with each number of threads, and how many times as fast the most are as one. */
export function growthTable({ threads, rows }: Pick<GrowthReport, "threads" | "rows">): string {
  const columns = [
    text<GrowthRow>("phase", 28, ({ phase }) => phase),
    figure<GrowthRow>("batch", ({ batch }) => `${batch}`),
    ...threads.map((count, i) =>
      figure<GrowthRow>(`${count} thread${count === 1 ? "" : "s"}, ms`, ({ ms }) => milliseconds(ms[i]!)),
    ),
    figure<GrowthRow>("gain", ({ ms }) => threeDigits(ms[0]! / ms.at(-1)!)),
  ];
  return [tableHead(columns), ...rows.map((row) => tableRow(columns, row))].join("\n");
}
