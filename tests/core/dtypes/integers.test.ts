/** Weights and activations as whole numbers: i8. */
import { describe, expect, it } from "vitest";
import {
  dequantizeGroups,
  GROUP,
  groupOf,
  quantizeGroups,
  quantizeRow,
} from "../../../core/dtypes/integers.ts";
import { packWeights, StoredWeights } from "../../../core/dtypes/stored_weights.ts";
import { bytesOf, newTensor } from "../../../core/tensor.ts";
import { randomArrays } from "../../../measure/generated/random.ts";
import { florenceError } from "../../support/errors.ts";

const values = randomArrays(7).normal(6 * GROUP).data as Float32Array<ArrayBuffer>;

describe("groups of weights", () => {
  const words = quantizeGroups(values, "w");

  it("take 9 bits a weight", () => {
    expect(words.byteLength).toBe((values.length * 9) / 8);
    expect(words.byteLength).toBe(bytesOf(newTensor("w", [6, GROUP], "i8", "owned")));
  });

  it("hold every weight to a step of its group's span, from its least to its largest", () => {
    const kept = new Float32Array(values.length);
    dequantizeGroups(words, kept);
    for (let first = 0; first < values.length; first += GROUP) {
      const group = values.subarray(first, first + GROUP);
      const step = (Math.max(...group) - Math.min(...group)) / 255;
      const worst = Math.max(...group.map((value, i) => Math.abs(value - kept[first + i]!)));
      expect(worst).toBeLessThan(step);
      expect(worst).toBeGreaterThan(step * 0.4);
      const { q } = groupOf(words, first / GROUP);
      expect([Math.min(...q), Math.max(...q)]).toEqual([-128, 127]);
    }
  });

  it("of one sign keep 0", () => {
    const positive = values.subarray(0, GROUP).map((value) => 3 + Math.abs(value));
    for (const [sign, end] of [
      [1, -128],
      [-1, 127],
    ] as const) {
      const { zero, q } = groupOf(
        quantizeGroups(positive.map((value) => sign * value) as typeof values, "w"),
        0,
      );
      expect(zero).toBe(end);
      expect(sign === 1 ? Math.max(...q) : Math.min(...q)).toBe(-1 - end);
    }
  });

  it("say the sum of their q", () => {
    for (let group = 0; group < 6; group++) {
      const { q, sum } = groupOf(words, group);
      expect(Array.from(q).reduce((total, one) => total + one, 0)).toBe(sum);
    }
  });

  it("are read from anywhere, as stored weights are", () => {
    const whole = new Float32Array(values.length);
    dequantizeGroups(words, whole);
    const stored = new StoredWeights(packWeights(values, "i8", "w"), "i8");
    expect(stored.values(70, 90)).toEqual(whole.subarray(70, 160));
    expect(groupOf(stored.groups(2 * GROUP), 1)).toEqual(groupOf(words, 3));
  });

  it("of zeros are zeros", () => {
    const kept = new Float32Array(GROUP).fill(1);
    dequantizeGroups(quantizeGroups(new Float32Array(GROUP), "w"), kept);
    expect(kept).toEqual(new Float32Array(GROUP));
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])("cannot hold %s", (value) => {
    const damaged = values.slice();
    damaged[100] = value;
    expect(() => quantizeGroups(damaged, "w")).toThrow(
      florenceError("option_invalid", /"w" holds (NaN|Infinity)/),
    );
  });
});

describe("a row of activations", () => {
  const valuesOf = (row: Float32Array) =>
    quantizeRow(row).flatMap(({ scale, zero, q }) => Array.from(q, (one) => scale * (one - zero)));

  it("is held to a step of its group's span, from its least to its largest", () => {
    const row = values.map((value, i) => value * (i < GROUP ? 100 : 1));
    const kept = valuesOf(row);
    for (const [group, { scale, q }] of quantizeRow(row).entries()) {
      const part = row.subarray(group * GROUP, (group + 1) * GROUP);
      expect(scale).toBeCloseTo((Math.max(...part) - Math.min(...part)) / 255, 5);
      expect(Math.min(...q)).toBe(0);
      expect(Math.max(...q)).toBe(255);
      for (const [i, value] of part.entries())
        expect(Math.abs(kept[group * GROUP + i]! - value)).toBeLessThan(scale);
    }
  });

  it("keeps 0, also where all else has one sign", () => {
    for (const sign of [1, -1]) {
      const row = values.subarray(0, GROUP).map((value) => sign * (3 + Math.abs(value)));
      row[5] = 0;
      expect(Math.abs(valuesOf(row)[5]!)).toBe(0);
    }
    expect(valuesOf(new Float32Array(GROUP)).every((value) => value === 0)).toBe(true);
    expect(valuesOf(new Float32Array(GROUP).fill(1e-40)).every((value) => value === 0)).toBe(true);
  });

  it("stays NaN where it was", () => {
    const row = values.slice(0, GROUP);
    row[9] = Number.NaN;
    expect(quantizeRow(row)[0]!.scale).toBeNaN();
  });
});
