import { describe, expect, it } from "vitest";
import { Recording } from "../../core/recording.ts";
import { newTensor, rows } from "../../core/tensor.ts";
import { double, doubleKernel } from "../support/double_kernel.ts";

const input = (...shape: number[]) => newTensor("input", shape, "f32", "owned");

describe("a recording", () => {
  const kernel = doubleKernel();

  it("refuses a tensor of the wrong type, naming kernel, stage and binding", () => {
    const rec = new Recording();
    const ids = newTensor("ids", [4], "u32", "owned");
    expect(() => rec.scope("stage1", () => double(rec, kernel, ids))).toThrow(
      /double in stage1: x is u32, expected f32/,
    );
  });

  it("refuses to read and write the same elements", () => {
    const rec = new Recording();
    const x = input(8);
    expect(() => rec.dispatch(kernel, { x, out: x }, { count: 8 }, {})).toThrow(
      /out is written and bound a second time/,
    );
  });

  it("refuses views that no device can bind, and bindings past the limit", () => {
    const rec = new Recording({ profile: { features: new Set(), maxBindingBytes: 1024 } });
    expect(() => double(rec, kernel, rows(input(8, 10), 1, 2))).toThrow(/begins at element 10/);
    expect(() => double(rec, kernel, input(257))).toThrow(/1028 bytes, this device binds 1024/);
  });

  it("refuses parameters that are no numbers", () => {
    const rec = new Recording();
    expect(() =>
      rec.dispatch(kernel, { x: input(8), out: rec.temp([8]) }, { count: Number.NaN }, {}),
    ).toThrow(/count is NaN/);
  });

  it("cuts a tensor into bands that can be bound and cover it once", () => {
    const rec = new Recording({ profile: { features: new Set(), maxBindingBytes: 4096 } });
    const bands = rec.bands(input(1000, 24), 24 * 4, 3);
    expect(bands[0]!.from).toBe(0);
    expect(bands.at(-1)!.to).toBe(1000);
    for (const [i, band] of bands.entries()) {
      expect(band.tensor.shape).toEqual([band.to - band.from, 24]);
      expect((band.tensor.offset * 4) % 256).toBe(0);
      expect(band.from % 3).toBe(0);
      if (i > 0) expect(band.from).toBe(bands[i - 1]!.to);
    }
    expect(bands.length).toBe(Math.ceil(1000 / 24));
  });

  it("does nothing for a tap that nobody asked for", () => {
    const rec = new Recording();
    rec.tap("stage", double(rec, kernel, input(4)));
    expect(rec.taps.size).toBe(0);
    expect(rec.kept.size).toBe(0);
  });
});
