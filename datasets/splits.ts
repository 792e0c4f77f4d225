import { Florence2Error } from "../core/errors.ts";

const NAMES = ["train", "val", "test"] as const;

/**
 * Shares of the parts of a data set: "0.8/0.1/0.1" → [0.8, 0.1, 0.1].
 *
 * @throws {Florence2Error} `option_invalid` unless they are one to three numbers that add up to 1
 */
export function parseSplit(text: string): number[] {
  const shares = text.split("/").map(Number);
  const sum = shares.reduce((total, share) => total + share, 0);
  const isValid = shares.length <= NAMES.length && shares.every((share) => share >= 0);
  if (isValid && Math.abs(sum - 1) < 1e-6) return shares;
  const message = `split is ${text}, expected shares of train, val and test that add up to 1, such as 0.8/0.2`;
  throw new Florence2Error("option_invalid", message, { split: text });
}

/**
 * Deals files out to train, val and test. Which part a file gets follows from its name and the seed, not from
 * the order of the list; the counts are as near to the shares as whole numbers are.
 *
 * @returns the part of each file, by name
 */
export function splitFiles(
  files: readonly string[],
  shares: readonly number[],
  seed = 0,
): Map<string, string> {
  const shuffled = [...files].sort((a, b) => hash(a, seed) - hash(b, seed) || (a < b ? -1 : 1));
  const parts = new Map<string, string>();
  let [from, passed] = [0, 0];
  for (const [i, share] of shares.entries()) {
    passed += share;
    const to = i === shares.length - 1 ? files.length : Math.round(passed * files.length);
    for (const file of shuffled.slice(from, to)) parts.set(file, NAMES[i]!);
    from = to;
  }
  return parts;
}

/** FNV-1a over UTF-16 units, then the finalizer of MurmurHash3: 32 bits, evenly spread. */
function hash(text: string, seed: number): number {
  let value = 0x811c9dc5 ^ seed;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
