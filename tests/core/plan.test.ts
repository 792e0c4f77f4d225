import { describe, expect, it } from "vitest";
import { planMemory } from "../../core/plan.ts";
import { Recording } from "../../core/recording.ts";
import { newTensor, type Tensor } from "../../core/tensor.ts";
import { double, doubleKernel } from "../support/double_kernel.ts";

const input = (...shape: number[]) => newTensor("input", shape, "f32", "owned");

describe("the memory plan", () => {
  const kernel = doubleKernel();

  it("alternates between two blocks along a chain", () => {
    const rec = new Recording();
    let x = input(100);
    for (let i = 0; i < 10; i++) x = double(rec, kernel, x);
    expect(planMemory(rec).blocks).toEqual([100, 100]);
  });

  it("takes no more than what is alive at once, whatever comes first", () => {
    const rec = new Recording();
    const grown = (x: Tensor, size: number) => {
      const out = rec.temp([size]);
      rec.dispatch(kernel, { x, out }, { count: size }, {});
      return out;
    };
    let x = input(10);
    for (const size of [10, 30, 10, 40, 10, 20, 10]) x = grown(x, size);
    expect(planMemory(rec).blocks).toEqual([40, 10]);
  });

  it("never gives what is alive, kept or in the same dispatch the same block", () => {
    const rec = new Recording();
    const a = double(rec, kernel, input(100));
    const b = rec.keep(double(rec, kernel, a));
    const c = double(rec, kernel, a);
    const d = double(rec, kernel, c);
    const { blockOf } = planMemory(rec);
    const block = (tensor: Tensor) => blockOf.get(tensor.storage);
    expect(block(a)).not.toBe(block(b));
    expect(block(a)).not.toBe(block(c));
    expect(block(b)).not.toBe(block(c));
    expect(block(b)).not.toBe(block(d));
    expect(block(a)).toBe(block(d));
  });

  it("lets the dispatches of a row share nothing, so that they can run at the same time", () => {
    const rec = new Recording();
    const chain = (x: Tensor) => double(rec, kernel, double(rec, kernel, double(rec, kernel, x)));
    rec.together(2, () => chain(input(100)));
    expect(rec.dispatches.map(({ row }) => row)).toEqual([0, 0, 1, 1, 2, 2]);
    const { blocks, blockOf } = planMemory(rec);
    expect(blocks).toEqual([100, 100, 100, 100]);
    for (const row of [0, 1, 2]) {
      const storages = rec.dispatches.filter((one) => one.row === row).flatMap(({ tensors }) => tensors);
      const used = storages.flatMap(({ storage }) => blockOf.get(storage) ?? []);
      expect(new Set(used).size).toBe(used.length);
    }
  });
});
