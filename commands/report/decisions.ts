import type { CallTime } from "../../measure/calls.ts";
import { figure, milliseconds, percent, text } from "../../measure/table.ts";
import { groupBy } from "./groups.ts";
import type { PartResult } from "./part.ts";
import { table } from "./words.ts";

/** For one call of a model: the variant that is taken, and the one that was fastest. */
export interface Decision {
  readonly model: string;
  readonly phase: string;
  readonly kernel: string;
  readonly shape: string;
  readonly count: number;
  readonly taken: string;
  readonly takenMs: number;
  readonly fastest: string;
  readonly fastestMs: number;
  /** Whether the fastest one saves more than a tenth of the time. */
  readonly isWorthIt: boolean;
}

/** A variant has to win by this much to be preferred. */
const WIN = 0.1;

/** A decision for each timed call that several variants can serve. */
export function decisionsOf(results: readonly PartResult[]): Decision[] {
  return results
    .filter(({ part }) => part.startsWith("calls_"))
    .flatMap(({ part, rows }) => {
      const times = rows as unknown as readonly CallTime[];
      const calls = groupBy(times, ({ phase, kernel, shape }) => JSON.stringify([phase, kernel, shape]));
      return [...calls.values()].flatMap((variants) => decide(part.replace("calls_", ""), variants));
    });
}

function decide(model: string, variants: readonly CallTime[]): Decision[] {
  const taken = variants.find(({ isDefault }) => isDefault);
  if (!taken || variants.length < 2) return [];
  const fastest = variants.reduce((a, b) => (b.ms < a.ms ? b : a));
  const { phase, kernel, shape, count } = taken;
  const isWorthIt = fastest.ms < (1 - WIN) * taken.ms;
  const times = { taken: taken.variant, takenMs: taken.ms, fastest: fastest.variant, fastestMs: fastest.ms };
  return [{ model, phase, kernel, shape, count, ...times, isWorthIt }];
}

const COLUMNS = [
  text<Decision>("model", 5, ({ model }) => model),
  text<Decision>("phase", 13, ({ phase }) => phase),
  text<Decision>("kernel", 16, ({ kernel }) => kernel),
  text<Decision>("shape", 60, ({ shape }) => shape),
  figure<Decision>("calls", ({ count }) => String(count)),
  text<Decision>("taken", 10, ({ taken }) => taken),
  figure<Decision>("ms", ({ takenMs }) => milliseconds(takenMs)),
  text<Decision>("fastest", 10, ({ fastest }) => fastest),
  figure<Decision>("its ms", ({ fastestMs }) => milliseconds(fastestMs)),
  figure<Decision>("saves", ({ takenMs, fastestMs }) => percent(1 - fastestMs / takenMs)),
];

/** Decisions in Markdown: first those that would change something. */
export function decisionsInWords(decisions: readonly Decision[]): string {
  if (decisions.length === 0)
    return "No call of a model was timed in two variants, so nothing can be decided.";
  const changes = decisions.filter(({ isWorthIt }) => isWorthIt);
  const others = decisions.filter(({ isWorthIt }) => !isWorthIt);
  const saved = (of: readonly Decision[]) =>
    of.reduce((sum, { count, takenMs, fastestMs }) => sum + count * (takenMs - fastestMs), 0);
  const summary = `Of ${decisions.length} calls that several variants can serve, the fastest one beats the one that is taken by more than 10 % in ${changes.length}; taking it there would save ${milliseconds(saved(changes))} ms of all calls.`;
  const tables = [
    ...(changes.length > 0 ? ["", "More than 10 % apart:", "", table(COLUMNS, changes)] : []),
    ...(others.length > 0 ? ["", "Within 10 %:", "", table(COLUMNS, others)] : []),
  ];
  return [summary, ...tables].join("\n");
}
