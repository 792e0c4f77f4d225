import type { Report } from "../commands/report/document.ts";
import type { PartResult, Row } from "../commands/report/part.ts";
import {
  type Column,
  figure,
  milliseconds,
  tableHead,
  tableRow,
  text,
  threeDigits,
} from "../measure/table.ts";

/** A line of the table: its name, and its value in each report. */
interface Line {
  readonly what: string;
  readonly values: readonly string[];
}

type Reading = (partOf: (name: string) => PartResult | undefined, report: Report) => string | undefined;

const number = (value: unknown, digits = threeDigits) =>
  typeof value === "number" ? digits(value) : undefined;
const fact =
  (part: string, name: string): Reading =>
  (partOf) =>
    number(partOf(part)?.facts[name]);
const phase =
  (part: string, name: string, batch = 1): Reading =>
  (partOf) =>
    number(partOf(part)?.rows.find((row) => row.phase === name && row.batch === batch)?.ms, milliseconds);
/** How many rows are as they should be not, of how many. */
const wrong =
  (part: string, isWrong: (row: Row) => boolean): Reading =>
  (partOf) => {
    const rows = partOf(part)?.rows ?? [];
    return rows.length === 0 ? undefined : `${rows.filter(isWrong).length} of ${rows.length}`;
  };
const worstStage =
  (part: string): Reading =>
  (partOf) => {
    const errors = (partOf(part)?.rows ?? []).flatMap(({ error }) =>
      typeof error === "number" ? [error] : [],
    );
    return errors.length === 0 ? undefined : Math.max(...errors).toExponential(1);
  };
const ratio =
  (how: string): Reading =>
  (partOf) => {
    const rows = partOf("peers")?.rows ?? [];
    const row = rows.find(
      ({ beside, phase, contestant }) => beside === how && phase === "whole caption" && contestant !== "ours",
    );
    return number(row?.ratio);
  };

const LINES: readonly (readonly [what: string, reading: Reading])[] = [
  [
    "kernels that compute wrong",
    wrong("kernels", ({ worst, tolerance }) => !(Number(worst) <= Number(tolerance))),
  ],
  ["answers of nano that differ", wrong("answers", ({ firstDifference }) => firstDifference !== -1)],
  ["tiny, largest error of a stage", worstStage("stages_tiny")],
  ["base, largest error of a stage", worstStage("stages_base")],
  ["copying, GB/s", fact("ceilings", "gigabytesPerSecond")],
  ["multiplying and adding, GFLOP/s", fact("ceilings", "gigaflopsPerSecond")],
  ["call after call that it needs, µs", fact("ceilings", "dependentUs")],
  ...(["f16", "f32"] as const).flatMap((dtype) => [
    ...[
      "vision",
      "encoder",
      "first token, greedy",
      "each further token, greedy",
      "each further token, 3 beams",
    ].map((name) => [`base in ${dtype}: ${name}, ms`, phase(`phases_${dtype}`, name)] as const),
    [
      `base in ${dtype}: a caption of 20 tokens, ms`,
      phase(`phases_${dtype}`, "<CAPTION> from picture to answer"),
    ] as const,
    [
      `base in ${dtype}: 8 captions, ms`,
      phase(`phases_${dtype}`, "<CAPTION> from picture to answer", 8),
    ] as const,
  ]),
  ["times as long, PyTorch eager", ratio("eager")],
  ["times as long, PyTorch compiled", ratio("compiled")],
  [
    "calls whose variant should change",
    (_, { decisions }) =>
      decisions.length === 0
        ? undefined
        : `${decisions.filter(({ isWorthIt }) => isWorthIt).length} of ${decisions.length}`,
  ],
];

/** Reports of several adapters in one table, as Markdown. */
export function sideBySide(reports: readonly Report[]): string {
  const columns: Column<Line>[] = [
    text("", 46, ({ what }) => what),
    ...reports.map(({ origin }, i) => figure<Line>(origin.adapter, ({ values }) => values[i]!)),
  ];
  const lines = LINES.map(([what, reading]) => {
    const values = reports.map((report) => {
      const partOf = (name: string) => report.results.find(({ part }) => part === name);
      return reading(partOf, report) ?? "-";
    });
    return { what, values };
  }).filter(({ values }) => values.some((value) => value !== "-"));
  const origins = reports.map(
    ({ origin: { adapter, runtime, load, commit, date }, minutes }) =>
      `- ${adapter}: ${runtime}, a load of ${load.toFixed(1)} before it began, ${commit || "no checkout"}, ${date.slice(0, 10)}, at most ${minutes} minutes`,
  );
  return [
    "**Reports** of `florence2 report`. A dash: there was no time for it, or it was not possible there.",
    [tableHead(columns), ...lines.map((line) => tableRow(columns, line))].join("\n"),
    origins.join("\n"),
  ].join("\n\n");
}
