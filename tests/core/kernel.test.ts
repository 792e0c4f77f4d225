import { expect, it } from "vitest";
import { linearGroups } from "../../core/kernel.ts";

it("folds long grids into two dimensions that cover them", () => {
  for (const count of [0, 1, 65_535, 65_536, 1_000_003]) {
    const [x, y, z] = linearGroups(count);
    expect(x * y * z).toBeGreaterThanOrEqual(count);
    expect(Math.max(x, y)).toBeLessThanOrEqual(65_535);
    expect(x * y * z - count).toBeLessThanOrEqual(y);
  }
});
