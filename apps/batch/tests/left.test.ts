import { join } from "node:path";
import { Checkpoint } from "florence2-server/chunks";
import { describe, expect, it } from "vitest";
import { GROUP, leftOf } from "../chunk/left.ts";
import { newFolder } from "./support/runs.ts";

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

/** Each process that reads the file finds what those before it left there. */
function processes() {
  const path = join(newFolder(), "part.jsonl");
  return {
    next: () => new Checkpoint<string>(path),
    /** Processes that died at these images. */
    die(times: number, indices: readonly number[]) {
      for (let i = 0; i < times; i++) new Checkpoint<string>(path).open(indices);
    },
  };
}

describe("what is left of a chunk", () => {
  it("is asked about in calls of four groups of eight", () => {
    const { calls, probes, crashed } = leftOf(processes().next(), 45);
    expect(calls.map((call) => call.map((group) => group.length))).toEqual([
      [8, 8, 8, 8],
      [8, 5],
    ]);
    expect(calls.flat(2)).toEqual(range(0, 45));
    expect([probes, crashed]).toEqual([[], []]);
  });

  it("has no group behind one that is not whole, since that would move it", () => {
    const checkpoint = processes().next();
    checkpoint.add([[3, "row"]]);
    expect(leftOf(checkpoint, 24).calls).toEqual([[[0, 1, 2, 4, 5, 6, 7]], [range(8, 16), range(16, 24)]]);
  });

  it("is without what has its rows", () => {
    const checkpoint = processes().next();
    checkpoint.add(range(0, GROUP).map((index) => [index, "row"] as const));
    expect(leftOf(checkpoint, 16).calls).toEqual([[range(8, 16)]]);
  });

  it("goes to another process, a group as it was, after two deaths at it", () => {
    const file = processes();
    file.die(1, range(0, 32));
    expect(leftOf(file.next(), 32).probes).toEqual([]);
    file.die(1, range(0, 32));
    const { calls, probes } = leftOf(file.next(), 40);
    expect(calls).toEqual([[range(32, 40)]]);
    expect(probes).toEqual([0, 8, 16, 24].map((from) => range(from, from + 8)));
  });

  it("is divided once a death was seen, and an image is the reason after two of its own", () => {
    const file = processes();
    const group = range(0, 8);
    file.die(2, group);
    const checkpoint = file.next();
    const dieSeen = (indices: readonly number[]) => {
      checkpoint.open(indices);
      checkpoint.died(indices);
    };
    dieSeen(group);
    expect(leftOf(checkpoint, 8).probes).toEqual(group.map((index) => [index]));
    dieSeen([5]);
    expect(leftOf(checkpoint, 8).crashed).toEqual([]);
    dieSeen([5]);
    const expected = { crashed: [{ index: 5, crashes: 5 }] };
    expect(leftOf(checkpoint, 8)).toMatchObject(expected);
    // The next process finds the same.
    expect(leftOf(file.next(), 8)).toMatchObject(expected);
    expect(leftOf(file.next(), 8).probes).toHaveLength(7);
  });

  it("comes back when the process that watched died too: something else ends them", () => {
    const file = processes();
    const isProbed = [0, 1, 2, 3, 4, 5].map(() => {
      const { probes } = leftOf(file.next(), 8);
      file.die(1, range(0, 8));
      return probes.length > 0;
    });
    expect(isProbed).toEqual([false, false, true, false, false, true]);
  });

  it("blames an image for deaths that nobody saw only if they are many, and others have their answers", () => {
    const file = processes();
    file.die(9, range(0, 8));
    expect(leftOf(file.next(), 8)).toEqual({
      calls: range(0, 8).map((index) => [[index]]),
      probes: [],
      crashed: [],
    });
    file.die(8, [5]);
    expect(leftOf(file.next(), 8).crashed).toEqual([]);
    file.next().add([[4, "row"]]);
    expect(leftOf(file.next(), 8).crashed).toEqual([{ index: 5, crashes: 17 }]);
  });

  it("forgets a beginning that was left in good order", () => {
    const file = processes();
    for (let i = 0; i < 5; i++) {
      const checkpoint = file.next();
      checkpoint.open(range(0, 8));
      checkpoint.leave(range(0, 8));
    }
    expect(leftOf(file.next(), 8)).toEqual({ calls: [[range(0, 8)]], probes: [], crashed: [] });
  });
});
