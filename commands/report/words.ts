/** Markdown of a report. */
import { type Column, tableHead, tableRow } from "../../measure/table.ts";

export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  return [tableHead(columns), ...rows.map((row) => tableRow(columns, row))].join("\n");
}

/** A line for each value. */
export function list(values: object): string {
  const lines = Object.entries(values).map(([name, value]) => {
    const shown = typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
    return `- ${name}: ${shown}`;
  });
  return lines.join("\n");
}

/** `scientific(0.0000123)` is "1.2e-5". */
export const scientific = (value: number) => (value === 0 ? "0" : value.toExponential(1));
