/** What is left to compute of a chunk, and in which company. */
import type { Checkpoint, Deaths } from "florence2-server/chunks";

/**
 * Images that the library answers together. Groups are the same in every try: the last digits of a confidence depend on
 * the images that are computed beside. So the rows of a group are kept once all of them are there.
 */
export const GROUP = 8;
/** Groups of one call, which prepares the next one while it answers another. */
const GROUPS = 4;
/** Images of one call. */
export const CALL = GROUP * GROUPS;

/**
 * After so many deaths at work on a group, another process is at work on it while this one watches. If this one dies
 * then as well, something else ends processes: the group has so many tries here again.
 */
const MAX_DEATHS = 2;
/** After so many deaths that nobody saw, such as those of a container as a whole, images are computed one by one. */
const MAX_UNSEEN_TOGETHER = 9;
/** An image that has ended so many processes of its own, each seen by another one, is taken for the reason. */
const MAX_SEEN = 2;
/** So is one at which so many died unseen, where other images of the chunk have their answers. */
const MAX_UNSEEN = 8;

export interface Left {
  /** Groups of one call each. */
  readonly calls: readonly (readonly (readonly number[])[])[];
  /** Groups and images for processes of their own: processes have died at them. */
  readonly probes: readonly (readonly number[])[];
  /** Images that keep ending processes, and how many. */
  readonly crashed: readonly { readonly index: number; readonly crashes: number }[];
}

/** What is left of `count` images. */
export function leftOf(checkpoint: Checkpoint<unknown>, count: number): Left {
  const calls: number[][][] = [];
  const probes: number[][] = [];
  const crashed: { index: number; crashes: number }[] = [];
  for (let from = 0; from < count; from += GROUP) {
    const group = [...Array(Math.min(GROUP, count - from)).keys()]
      .map((i) => from + i)
      .filter((index) => !checkpoint.rows.has(index));
    if (group.length === 0) continue;
    const deaths = group.map((index) => checkpoint.deathsOf(index));
    const isSeen = deaths.some(({ seenTogether, seenAlone }) => seenTogether + seenAlone > 0);
    if (isSeen || deaths.some(({ together }) => together >= MAX_UNSEEN_TOGETHER)) {
      for (const [i, index] of group.entries()) {
        const crashes = sumOf(deaths[i]!);
        if (isReason(deaths[i]!, checkpoint.rows.size > 0)) crashed.push({ index, crashes });
        else if (isSeen) probes.push([index]);
        else calls.push([[index]]);
      }
    } else if (deaths.some((own) => sumOf(own) % (MAX_DEATHS + 1) === MAX_DEATHS)) probes.push(group);
    else {
      const last = calls.at(-1);
      // Only whole groups keep those behind them in their places.
      if (last && last.length < GROUPS && last.at(-1)!.length === GROUP) last.push(group);
      else calls.push([group]);
    }
  }
  return { calls, probes, crashed };
}

const sumOf = ({ together, alone, seenTogether, seenAlone }: Deaths) =>
  together + alone + seenTogether + seenAlone;

const isReason = ({ alone, seenAlone }: Deaths, isAnyAnswered: boolean) =>
  seenAlone >= MAX_SEEN || (isAnyAnswered && alone >= MAX_UNSEEN);
