/** The tables of byte-pair encoding (Sennrich et al. 2016, on bytes as in GPT-2). */
export type MergeTable = {
  /** Id of each single byte's token, 256 in all. */
  readonly byteIds: readonly number[];
  /** Rank of a pair of ids, found under `pairKey`. Low ranks merge first. */
  readonly rankOfPair: ReadonlyMap<number, number>;
  /** Id of the token that the merge of each rank makes. */
  readonly mergedIds: readonly number[];
};

/** One number for two ids, both below 2^26: `pairKey(1, 2)` is 2^26 + 2. */
export const pairKey = (left: number, right: number): number => left * 2 ** 26 + right;

/**
 * Ids of one piece of text. It begins as single bytes; the adjacent pair of the lowest rank is merged, leftmost
 * first, until no pair has a rank. A linked list of symbols and a heap of candidate pairs make this O(n log n)
 * in the bytes of the piece, with no recursion.
 *
 *     bytePairEncode(utf8.encode(" the"), merges)  // [5], once the merges " t", "he" and " the" are done
 */
export function bytePairEncode(bytes: Uint8Array, table: MergeTable): number[] {
  const MERGED_AWAY = -1;
  const count = bytes.length;
  const symbols = new Int32Array(count);
  const previous = new Int32Array(count);
  const next = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    symbols[i] = table.byteIds[bytes[i]!]!;
    previous[i] = i - 1;
    next[i] = i + 1;
  }
  const candidates: number[] = [];

  const rankAt = (left: number): number | undefined => {
    const right = next[left]!;
    return right < count ? table.rankOfPair.get(pairKey(symbols[left]!, symbols[right]!)) : undefined;
  };
  const propose = (left: number) => {
    const rank = rankAt(left);
    // One number orders candidates by rank and then by place, and is exact below 2^53.
    if (rank !== undefined) pushHeap(candidates, rank * 2 ** 32 + left);
  };

  for (let left = 0; left + 1 < count; left++) propose(left);
  while (candidates.length > 0) {
    const candidate = popHeap(candidates);
    const rank = Math.floor(candidate / 2 ** 32);
    const left = candidate - rank * 2 ** 32;
    // The pair may have gone since it was proposed: one of its halves was merged with another neighbour.
    if (symbols[left] === MERGED_AWAY || rankAt(left) !== rank) continue;

    const right = next[left]!;
    const after = next[right]!;
    symbols[left] = table.mergedIds[rank]!;
    symbols[right] = MERGED_AWAY;
    next[left] = after;
    if (after < count) previous[after] = left;
    if (previous[left]! >= 0) propose(previous[left]!);
    propose(left);
  }

  const ids: number[] = [];
  for (let i = 0; i < count; i = next[i]!) ids.push(symbols[i]!);
  return ids;
}

/** Adds a number to a binary heap whose smallest is first. */
function pushHeap(heap: number[], value: number): void {
  let hole = heap.push(value) - 1;
  while (hole > 0) {
    const parent = (hole - 1) >> 1;
    if (heap[parent]! <= value) break;
    heap[hole] = heap[parent]!;
    hole = parent;
  }
  heap[hole] = value;
}

/** Takes the smallest number from a heap that is not empty. */
function popHeap(heap: number[]): number {
  const smallest = heap[0]!;
  const value = heap.pop()!;
  if (heap.length === 0) return smallest;
  let hole = 0;
  for (let child = 1; child < heap.length; child = 2 * hole + 1) {
    if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++;
    if (value <= heap[child]!) break;
    heap[hole] = heap[child]!;
    hole = child;
  }
  heap[hole] = value;
  return smallest;
}
