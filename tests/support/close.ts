import { expect } from "vitest";
import type { TensorData } from "../../core/tensor.ts";

export interface Difference {
  readonly faults: number;
  readonly report: string;
}

/**
 * Compares element by element: |found - expected| <= tolerance * (1 + |expected|). A NaN on one side
 * only is a fault. `columns` turns flat indexes into rows and columns for the report.
 */
export function compare(
  found: TensorData,
  expected: TensorData,
  tolerance: number,
  columns: number,
): Difference {
  if (found.length !== expected.length) {
    return { faults: Infinity, report: `${found.length} elements, expected ${expected.length}` };
  }
  const faulty: string[] = [];
  let faults = 0;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const [f, e] = [found[i]!, expected[i]!];
    const error = Math.abs(f - e) / (1 + Math.abs(e));
    if (error <= tolerance || (Number.isNaN(f) && Number.isNaN(e))) continue;
    faults++;
    worst = Number.isNaN(error) ? Number.NaN : Math.max(worst, error);
    if (faulty.length < 5) faulty.push(`(${Math.floor(i / columns)}, ${i % columns}): ${f}, expected ${e}`);
  }
  return {
    faults,
    report: `${faults} of ${expected.length} elements differ, worst ${worst}: ${faulty.join("; ")}`,
  };
}

/** ‖found − expected‖ / ‖expected‖, the measure of every parity figure. */
export function relativeL2(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (found.length !== expected.length) return Infinity;
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (found[i]! - expected[i]!) ** 2;
    norm += expected[i]! ** 2;
  }
  return Math.sqrt(difference / norm);
}

/**
 * An answer that is the same but for its probabilities, which agree to single precision: with more rows in a
 * batch, sums run in another order. For `toEqual`.
 */
export function sameAnswer<T>(answer: T): T {
  const close = (value: unknown): unknown => {
    if (typeof value === "number") return Number.isInteger(value) ? value : expect.closeTo(value, 4);
    if (Array.isArray(value)) return value.map(close);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, close(part)]));
  };
  return close(answer) as T;
}
