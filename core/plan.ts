import type { Recording } from "./recording.ts";
import type { Storage } from "./tensor.ts";

/** Which block of memory each temporary storage of a recording uses, and how large the blocks are. */
interface MemoryPlan {
  readonly blockOf: ReadonlyMap<Storage, number>;
  /** In words of four bytes. */
  readonly blocks: readonly number[];
}

/** The steps, both included, between which a storage holds something. The dispatches of a row are one step. */
interface Life {
  readonly first: number;
  last: number;
}

/**
 * Lets temporaries share blocks, largest first: each goes into the smallest block in which none lives at the same
 * time ("greedy by size" of Pisarchyk and Lee, 2020, Efficient Memory Management for Deep Neural Net Inference).
 * Two tensors of one dispatch never share a block, since WebGPU lets no dispatch read and write the same buffer, and
 * what is kept shares with nothing.
 */
export function planMemory(recording: Recording): MemoryPlan {
  const lives = livesOf(recording);
  const blocks: { readonly words: number; readonly lives: Life[] }[] = [];
  const blockOf = new Map<Storage, number>();
  const largestFirst = [...lives.keys()].sort((a, b) => b.words - a.words);
  for (const storage of largestFirst) {
    const life = lives.get(storage)!;
    // Blocks become smaller and smaller: the last one that is free is the smallest.
    let block = blocks.findLastIndex(({ lives }) => lives.every((other) => areApart(other, life)));
    if (block === -1) block = blocks.push({ words: storage.words, lives: [] }) - 1;
    blocks[block]!.lives.push(life);
    blockOf.set(storage, block);
  }
  return { blockOf, blocks: blocks.map(({ words }) => words) };
}

function livesOf({ dispatches, kept }: Recording): Map<Storage, Life> {
  const lives = new Map<Storage, Life>();
  let step = -1;
  for (const [index, { tensors, row }] of dispatches.entries()) {
    if (row === undefined || row !== dispatches[index - 1]?.row) step++;
    for (const { storage } of tensors) {
      if (storage.lifetime !== "temp") continue;
      const life = lives.get(storage) ?? { first: kept.has(storage) ? -Infinity : step, last: step };
      life.last = kept.has(storage) ? Infinity : step;
      lives.set(storage, life);
    }
  }
  return lives;
}

const areApart = (a: Life, b: Life) => a.last < b.first || b.last < a.first;
