/** Numbers as people read them. */

/** @example bytes(463_000_000) // "463 MB" */
export function bytes(count: number): string {
  const [unit, size] = count >= 1e9 ? ["GB", 1e9] : count >= 1e6 ? ["MB", 1e6] : ["kB", 1e3];
  const value = count / (size as number);
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** @example duration(1234) // "1.2 s" */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** @example count(1, "object") // "1 object" */
export const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? "" : "s"}`;
