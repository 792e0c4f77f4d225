/** What Python's str.strip() and \s take for white space; JavaScript's trim() has another list. */
const PYTHON_WHITE_SPACE = new Set(
  "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a" +
    "\u2028\u2029\u202f\u205f\u3000",
);

function stripStart(text: string): string {
  let start = 0;
  while (PYTHON_WHITE_SPACE.has(text.charAt(start))) start++;
  return text.slice(start);
}

/** Removes white space at both ends, as Python does. */
export function strip(text: string): string {
  let end = text.length;
  while (end > 0 && PYTHON_WHITE_SPACE.has(text.charAt(end - 1))) end--;
  return stripStart(text.slice(0, end));
}

/**
 * The label in the text before a region's tags. There is none if a line ends after its first visible
 * character: the processors' patterns do not cross lines.
 */
export function labelOf(text: string): string | undefined {
  const label = stripStart(text);
  return label.includes("\n") ? undefined : strip(label);
}

/** Labels of boxes lose all characters outside ASCII, after stripping: "café 中" is "caf ". */
export function keepAscii(label: string): string {
  return label.replace(/[^\0-\x7f]/g, "");
}
