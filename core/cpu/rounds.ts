import type { CompiledCall } from "./protocol.ts";

/** The compiled calls of one dispatch. */
export interface DispatchCalls {
  /** The passes before the kernel's last one, if it has any, and the last one. */
  readonly calls: readonly CompiledCall[];
  /** Scratch memory that both share, in bytes. */
  readonly scratch: number;
  /** The row of independent dispatches that it belongs to: see `Recording.together`. */
  readonly row: number | undefined;
}

const SCRATCH_ALIGNMENT = 256;

/**
 * Puts dispatches of a row into a round: threads wait for each other between rounds, and between the passes of a
 * round, but not between its calls. Each call of a round has scratch memory of its own.
 *
 * @returns the calls in their order, with the index of the dispatch of each, and the scratch memory of the largest round
 *   in bytes
 */
export function joinInRounds(dispatches: readonly DispatchCalls[]): {
  readonly calls: readonly CompiledCall[];
  readonly dispatchOf: readonly number[];
  readonly scratch: number;
} {
  const calls: CompiledCall[] = [];
  const dispatchOf: number[] = [];
  let scratch = 0;
  for (let from = 0; from < dispatches.length; ) {
    const { row } = dispatches[from]!;
    let to = from + 1;
    while (row !== undefined && dispatches[to]?.row === row) to++;
    const round = dispatches.slice(from, to);
    const scratchAt: number[] = [];
    let used = 0;
    for (const { scratch: bytes } of round) {
      scratchAt.push(used);
      used += Math.ceil(bytes / SCRATCH_ALIGNMENT) * SCRATCH_ALIGNMENT;
    }
    scratch = Math.max(scratch, used);
    // Counted from the end: a kernel of one pass runs with the last of the others.
    const most = Math.max(...round.map(({ calls: passes }) => passes.length));
    for (let fromTheEnd = most; fromTheEnd > 0; fromTheEnd--) {
      let isJoined = false;
      for (const [i, { calls: passes }] of round.entries()) {
        const call = passes[passes.length - fromTheEnd];
        if (!call) continue;
        calls.push({ ...call, isJoined, scratch: scratchAt[i]! });
        dispatchOf.push(from + i);
        isJoined = true;
      }
    }
    from = to;
  }
  return { calls, dispatchOf, scratch };
}
