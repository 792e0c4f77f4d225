import { editDistance } from "../../core/names.ts";

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
