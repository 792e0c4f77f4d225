import { describe, expect, it } from "vitest";
import { type DispatchCalls, joinInRounds } from "../../../core/cpu/rounds.ts";

const dispatch = (names: readonly string[], row?: number, scratch = 0): DispatchCalls => ({
  calls: names.map((name) => ({ name, args: [], units: 1, counter: 0 })),
  scratch,
  row,
});
const told = (dispatches: readonly DispatchCalls[]) => {
  const { calls, ...rest } = joinInRounds(dispatches);
  return { ...rest, calls: calls.map(({ name, isJoined, scratch }) => [name, isJoined, scratch]) };
};

describe("rounds", () => {
  it("keep calls apart that belong to no row", () => {
    expect(told([dispatch(["a_first", "a"], undefined, 100), dispatch(["b"])])).toEqual({
      calls: [
        ["a_first", false, 0],
        ["a", false, 0],
        ["b", false, 0],
      ],
      dispatchOf: [0, 0, 1],
      scratch: 256,
    });
  });

  it("join the passes of a row, each dispatch with scratch memory of its own", () => {
    const row = [dispatch(["a_first", "a"], 0, 100), dispatch(["b"], 0), dispatch(["c_first", "c"], 0, 300)];
    expect(told([...row, dispatch(["d"], 1)])).toEqual({
      calls: [
        ["a_first", false, 0],
        ["c_first", true, 256],
        ["a", false, 0],
        ["b", true, 256],
        ["c", true, 256],
        ["d", false, 0],
      ],
      dispatchOf: [0, 2, 0, 1, 2, 3],
      scratch: 768,
    });
  });
});
