/** Edits (insert, delete, replace one item) that turn one sequence into another (Levenshtein, 1966). */
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

export interface TextCase {
  readonly found: string;
  readonly truth: string;
}

/** Edits over all texts per character of the truth: 0 is perfect, more than 1 is possible. */
export const characterErrorRate = (cases: readonly TextCase[]) => errorRate(cases, (text) => [...text]);

/** The same with words, which white space separates. */
export const wordErrorRate = (cases: readonly TextCase[]) =>
  errorRate(cases, (text) => text.split(/\s+/).filter((word) => word !== ""));

function errorRate(cases: readonly TextCase[], itemsOf: (text: string) => string[]): number {
  let [edits, length] = [0, 0];
  for (const { found, truth } of cases) {
    edits += editDistance(itemsOf(found), itemsOf(truth));
    length += itemsOf(truth).length;
  }
  return edits / length;
}
