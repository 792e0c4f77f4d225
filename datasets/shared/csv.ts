/** A row as RFC 4180 has it, with its line break: `csvRow(["a", 'b "c"'])` → `a,"b ""c"""` and CRLF. */
export function csvRow(cells: readonly (string | number | undefined)[]): string {
  const written = cells.map((cell) => {
    const text = String(cell ?? "");
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  });
  return `${written.join(",")}\r\n`;
}

/** A text that no spreadsheet takes for a formula: `guardFormula("=1+1")` → `'=1+1`. */
export function guardFormula(text: string): string {
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
}

/** The rows of a CSV text: `parseCsv('a,"b\n"\r\n1,2')` → [["a", "b\n"], ["1", "2"]]. */
export function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|\r|$)/g)) {
    if (quoted === undefined && plain === "" && end === "" && row.length === 0) break;
    row.push(quoted === undefined ? plain! : quoted.replaceAll('""', '"'));
    if (end === ",") continue;
    rows.push(row);
    row = [];
    if (end === "") break;
  }
  return rows.filter((cells) => cells.length > 1 || cells[0] !== "");
}
