/** White space of Python's str.strip() and \s; JavaScript's trim() has another list. */
const PYTHON_WHITE_SPACE = new Set(
  "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a" +
    "\u2028\u2029\u202f\u205f\u3000",
);

/** Removes white space at the beginning, as Python does. */
export function stripStart(text: string): string {
  let start = 0;
  while (PYTHON_WHITE_SPACE.has(text.charAt(start))) start++;
  return text.slice(start);
}

/**
 * Removes white space at both ends, as Python does.
 *
 *     strip(" two  words\x1f")  // "two  words"
 */
export function strip(text: string): string {
  let end = text.length;
  while (end > 0 && PYTHON_WHITE_SPACE.has(text.charAt(end - 1))) end--;
  return stripStart(text.slice(0, end));
}
