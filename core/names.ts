/** Compares a mistyped name with the names that exist. */

/**
 * Edits (insert, delete or replace one item) that turn one sequence into another (Levenshtein, 1966).
 *
 *     editDistance([..."kitten"], [..."sitting"])  // 3
 */
export function editDistance<T>(a: readonly T[], b: readonly T[]): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (const [i, item] of a.entries()) {
    const current = [i + 1];
    for (const [j, other] of b.entries()) {
      const replaced = previous[j]! + (item === other ? 0 : 1);
      current.push(Math.min(replaced, previous[j + 1]! + 1, current[j]! + 1));
    }
    previous = current;
  }
  return previous[b.length]!;
}

/** Longest name that is compared letter by letter; no name of this library comes near it. */
const MAX_LENGTH = 64;

/**
 * The known name that a typed name probably stands for: the same letters in another case or with other
 * separators, the beginning of one (three letters or more), or one with a letter or two amiss.
 *
 *     nearestName("num_beams", ["numBeams", "maxNewTokens"])  // "numBeams"
 *     nearestName("CAP", ["OD", "CAPTION"])                   // "CAPTION"
 *     nearestName("ODD", ["OD", "CAPTION"])                   // "OD"
 *     nearestName("VQA", ["OD", "OCR", "CAPTION"])            // undefined
 */
export function nearestName(typed: string, known: readonly string[]): string | undefined {
  const wanted = lettersOf(typed);
  if (wanted === "" || wanted.length > MAX_LENGTH) return undefined;
  const same = known.find((name) => lettersOf(name) === wanted);
  if (same !== undefined) return same;
  const begun = known.filter((name) => wanted.length >= 3 && lettersOf(name).startsWith(wanted));
  if (begun.length > 0) return begun.reduce((a, b) => (b.length < a.length ? b : a));

  const max = wanted.length <= 4 ? 1 : wanted.length <= 8 ? 2 : 3;
  const distances = known.map((name) => editDistance([...wanted], [...lettersOf(name)]));
  const min = Math.min(...distances);
  return min <= max ? known[distances.indexOf(min)] : undefined;
}

const lettersOf = (name: string) => name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
