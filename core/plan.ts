import type { Recording } from "./recording.ts";
import type { Storage } from "./tensor.ts";

/** Which block of memory each temporary storage of a recording uses, and how large the blocks are. */
export interface MemoryPlan {
  readonly blockOf: ReadonlyMap<Storage, number>;
  /** In words of four bytes. */
  readonly blocks: readonly number[];
  /** The last dispatch that touches each temporary; `Infinity` for what is kept. */
  readonly lastUse: ReadonlyMap<Storage, number>;
}

/**
 * Lets temporaries share blocks. A recording is a straight line, so one pass backwards finds the last
 * use of each; one pass forwards then hands out the smallest free block that fits. Blocks are
 * released after a dispatch has been given its outputs, so no dispatch reads and writes the same one.
 */
export function planMemory(recording: Recording): MemoryPlan {
  const lastUse = new Map<Storage, number>();
  for (const [index, { tensors }] of recording.dispatches.entries()) {
    for (const { storage } of tensors) {
      if (storage.lifetime === "temp") lastUse.set(storage, recording.kept.has(storage) ? Infinity : index);
    }
  }

  const blockOf = new Map<Storage, number>();
  const blocks: number[] = [];
  let free: number[] = [];
  for (const [index, { tensors }] of recording.dispatches.entries()) {
    const temps = new Set(tensors.map(({ storage }) => storage).filter((storage) => lastUse.has(storage)));
    for (const storage of temps) {
      if (blockOf.has(storage)) continue;
      const shared = recording.kept.has(storage) ? undefined : smallestThatFits(free, blocks, storage.words);
      if (shared === undefined) blocks.push(storage.words);
      else free = free.filter((block) => block !== shared);
      blockOf.set(storage, shared ?? blocks.length - 1);
    }
    for (const storage of temps) {
      if (lastUse.get(storage) === index) free.push(blockOf.get(storage)!);
    }
  }
  return { blockOf, blocks, lastUse };
}

function smallestThatFits(free: readonly number[], blocks: readonly number[], words: number) {
  return free
    .filter((block) => blocks[block]! >= words)
    .reduce<number | undefined>(
      (best, block) => (best === undefined || blocks[block]! < blocks[best]! ? block : best),
      undefined,
    );
}
