/** Tables in Markdown, for terminals too: every column has a width of its own. */

export interface Column<Row> {
  readonly title: string;
  readonly width: number;
  readonly align: "left" | "right";
  readonly cell: (row: Row) => string;
}

export const text = <Row>(title: string, width: number, cell: (row: Row) => string): Column<Row> => ({
  title,
  width,
  align: "left",
  cell,
});
export const figure = <Row>(title: string, cell: (row: Row) => string): Column<Row> => ({
  title,
  width: Math.max(title.length, 7),
  align: "right",
  cell,
});
export const milliseconds = (ms: number | null) => (ms === null ? "-" : threeDigits(ms));
export const mebibytes = (bytes: number) => threeDigits(bytes / 2 ** 20);
export const percent = (share: number) => `${Math.round(100 * share)} %`;

const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;

/** The first two lines of a table in Markdown; `tableRow` makes the others, one by one as they come. */
export function tableHead<Row>(columns: readonly Column<Row>[]): string {
  const titles = columns.map(({ title, width, align }) => padded(title, width, align));
  const rules = columns.map(({ width, align }) =>
    align === "left" ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  return `${line(titles)}\n${line(rules)}`;
}

export function tableRow<Row>(columns: readonly Column<Row>[], row: Row): string {
  return line(columns.map(({ width, align, cell }) => padded(cell(row), width, align)));
}

function padded(content: string, width: number, align: "left" | "right"): string {
  return align === "left" ? content.padEnd(width) : content.padStart(width);
}

export function threeDigits(value: number): string {
  if (value >= 100 || Number.isInteger(value)) return value.toFixed(0);
  return value.toPrecision(3);
}
