import type { Checkpoint, Deaths } from "../chunks/checkpoint.ts";

/** After so many deaths of processes at work on a chunk, its lines are asked about one at a time. */
const MAX_TOGETHER = 2;
/**
 * A line is taken for the reason of so many deaths at work on it alone. Nobody sees why a server dies: what kills servers
 * from outside hits each line once before it hits one of them again, a line that kills is the only one left.
 */
const MAX_ALONE = 8;

export interface LeftLines {
  /** Lines that are asked about together; one by itself has the whole process. */
  readonly groups: readonly (readonly number[])[];
  /** Lines that keep ending processes, and how many. */
  readonly crashed: readonly { readonly index: number; readonly crashes: number }[];
}

/** What is left of a chunk of `count` lines. */
export function leftLines(checkpoint: Checkpoint<unknown>, count: number): LeftLines {
  const left = [...Array(count).keys()].filter((index) => !checkpoint.rows.has(index));
  const deathsOf = (index: number) => checkpoint.deathsOf(index);
  if (!left.some((index) => isSuspicious(deathsOf(index))))
    return { groups: left.length > 0 ? [left] : [], crashed: [] };
  const crashes = (index: number) => deathsOf(index).alone;
  return {
    groups: left
      .filter((index) => crashes(index) < MAX_ALONE)
      .sort((a, b) => crashes(a) - crashes(b))
      .map((index) => [index]),
    crashed: left
      .filter((index) => crashes(index) >= MAX_ALONE)
      .map((index) => ({ index, crashes: crashes(index) })),
  };
}

const isSuspicious = ({ together, alone }: Deaths) => together >= MAX_TOGETHER || alone > 0;
