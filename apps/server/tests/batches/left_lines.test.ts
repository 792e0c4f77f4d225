import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { leftLines } from "../../batches/left_lines.ts";
import { Slots } from "../../batches/slots.ts";
import { Checkpoint } from "../../chunks/checkpoint.ts";

const LINES = 16;
const all = [...Array(LINES).keys()];

/**
 * A process that works on a chunk until it is done or dies. `dies` says at which of its groups.
 *
 * @returns the lines that are taken for the reason
 */
function workOn(path: string, dies: (group: readonly number[], place: number) => boolean): readonly number[] {
  const checkpoint = new Checkpoint<string>(path);
  const { groups, crashed } = leftLines(checkpoint, LINES);
  for (const [place, group] of groups.entries()) {
    checkpoint.open(group);
    if (dies(group, place)) break;
    checkpoint.add(group.map((index) => [index, "row"]));
  }
  return crashed.map(({ index }) => index);
}

const newFile = () => join(mkdtempSync(join(tmpdir(), "florence2-lines-")), "00000.jsonl");
const rowsOf = (path: string) => [...new Checkpoint<string>(path).rows.keys()].sort((a, b) => a - b);

describe("the lines of a chunk", () => {
  it("are asked about together, without those that have their rows", () => {
    const path = newFile();
    expect(leftLines(new Checkpoint(path), LINES)).toEqual({ groups: [all], crashed: [] });
    new Checkpoint<string>(path).add([[3, "row"]]);
    expect(leftLines(new Checkpoint(path), LINES).groups).toEqual([all.filter((index) => index !== 3)]);
    new Checkpoint<string>(path).add(all.map((index) => [index, "row"]));
    expect(leftLines(new Checkpoint(path), LINES)).toEqual({ groups: [], crashed: [] });
  });

  it("are blamed by eight deaths at one alone, and all others have their rows by then", () => {
    const path = newFile();
    for (let deaths = 0; deaths < 10; deaths++)
      expect(workOn(path, (group) => group.includes(5))).toEqual([]);
    expect(workOn(path, () => true)).toEqual([5]);
    expect(rowsOf(path)).toEqual(all.filter((index) => index !== 5));
    expect(leftLines(new Checkpoint(path), LINES)).toEqual({
      groups: [],
      crashed: [{ index: 5, crashes: 8 }],
    });
  });

  it("are blamed for nothing when processes are killed again and again, and all end up with their rows", () => {
    const path = newFile();
    // None of fifty processes lives long enough for its first line, and then each for two.
    for (let round = 0; round < 50; round++) expect(workOn(path, () => true)).toEqual([]);
    for (let round = 0; round < 9; round++) expect(workOn(path, (_, place) => place === 2)).toEqual([]);
    expect(rowsOf(path)).toEqual(all);
  });
});

it("a line by itself has the whole process, in its turn", async () => {
  const slots = new Slots(2);
  const log: string[] = [];
  const work = (name: string) => async () => {
    log.push(`${name} begins`);
    await new Promise((resolve) => setImmediate(resolve));
    log.push(`${name} ends`);
  };
  await Promise.all([
    slots.run(work("a")),
    slots.runAlone(work("alone")),
    slots.run(work("b")),
    slots.run(work("c")),
  ]);
  expect(log).toEqual([
    ...["a begins", "a ends"],
    ...["alone begins", "alone ends"],
    ...["b begins", "c begins", "b ends", "c ends"],
  ]);
  await expect(slots.runAlone(() => Promise.reject(new Error("mine")))).rejects.toThrow("mine");
  await slots.run(work("d"));
});
