import type { DataSet } from "../datasets/truth/data_set.ts";
import type { Prediction, PredictionFile } from "./predictions.ts";
import { asTable } from "./report.ts";

/** A prompt that two runs answered with different tokens. */
export interface Difference {
  readonly file: string;
  readonly task: string;
  readonly text?: string;
  /** The first place where the tokens differ. */
  readonly place: number;
  readonly found: Prediction;
  readonly expected: Prediction;
}

/** How far the answers of two runs are the same. */
export interface Comparison {
  /** Prompts that both have answered, by task. */
  readonly prompts: ReadonlyMap<string, number>;
  readonly differences: readonly Difference[];
}

/** Compares the tokens of what two runs answered to the prompts of a data set. */
export function compare(dataSet: DataSet, found: PredictionFile, expected: PredictionFile): Comparison {
  const prompts = new Map<string, number>();
  const differences: Difference[] = [];
  for (const { file, prompts: asked } of dataSet.images) {
    for (const prompt of asked) {
      const ours = found.find(file, prompt);
      const theirs = expected.find(file, prompt);
      if (!ours || !theirs) continue;
      const { task, text } = prompt;
      prompts.set(task, (prompts.get(task) ?? 0) + 1);
      const place = firstDifference(ours.tokens, theirs.tokens);
      if (place >= 0) differences.push({ file, task, text, place, found: ours, expected: theirs });
    }
  }
  return { prompts, differences };
}

/** The share of equal answers by task, and every difference, in Markdown. */
export function comparisonTable({ prompts, differences }: Comparison): string {
  const row = (name: string, count: number, different: number) => [
    name,
    String(count),
    String(count - different),
    count === 0 ? "-" : `${((100 * (count - different)) / count).toFixed(2)} %`,
  ];
  const counts = [...prompts].map(([task, count]) =>
    row(`\`${task}\``, count, differences.filter((difference) => difference.task === task).length),
  );
  const total = [...prompts.values()].reduce((sum, count) => sum + count, 0);
  const shares = asTable(
    ["task", "prompts", "equal", "share"],
    [...counts, row("all", total, differences.length)],
  );
  const listed = differences.map(({ file, task, text, place, found, expected }) => [
    `${file} \`${task}\`${text === undefined ? "" : ` ${text}`}`,
    String(place),
    `${found.score.toFixed(6)} / ${expected.score.toFixed(6)}`,
    expected.margin === undefined ? "-" : expected.margin.toExponential(1),
  ]);
  if (listed.length === 0) return shares;
  return `${shares}\n\n${asTable(["different", "from token", "score", "margin of the search"], listed)}`;
}

/** -1 for equal ones. */
function firstDifference(a: readonly number[], b: readonly number[]): number {
  const place = a.findIndex((token, i) => token !== b[i]);
  return place < 0 && a.length < b.length ? a.length : place;
}
