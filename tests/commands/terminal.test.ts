import { rm } from "node:fs/promises";
import { afterEach, expect, it, vi } from "vitest";
import { beQuiet, counted, fail, note, showLoading, working } from "../../commands/terminal.ts";
import { Florence2Error } from "../../index.ts";
import { cacheIn, contentOf, newFolder } from "../support/hub_cache.ts";
import { startHub } from "../support/hub_server.ts";

/** What is written to stderr while `body` runs. */
async function written(isTTY: boolean, body: () => unknown): Promise<string> {
  const before = process.stderr.isTTY;
  const spy = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  try {
    process.stderr.isTTY = isTTY;
    await body();
    return spy.mock.calls.map(([text]) => text).join("");
  } finally {
    process.stderr.isTTY = before;
    spy.mockRestore();
  }
}

afterEach(() => vi.restoreAllMocks());

it("a bar fills while a model is downloaded, in a terminal only", async () => {
  // A clock by which every event is a frame of its own.
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => (now += 1000));
  const hub = await startHub({ "model.safetensors": new Uint8Array(3_000_000) });
  const folder = await newFolder();
  try {
    const download = () => contentOf(cacheIn(folder, hub, { onProgress: showLoading }), "model.safetensors");
    const lines = (await written(true, download)).split("\r\x1b[K").slice(1);
    const shares = lines.map((line) => {
      const [, bar, percent] = /^downloading \[([#.]{30})\] (\d+) % \d\.\d of 3\.0 MB$/.exec(line)!;
      expect(Math.abs(bar!.replaceAll(".", "").length - 0.3 * Number(percent))).toBeLessThanOrEqual(1);
      return Number(percent);
    });
    expect(shares.length).toBeGreaterThan(3);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares.at(-1)).toBe(100);
    expect(lines.at(-1)).toBe(`downloading [${"#".repeat(30)}] 100 % 3.0 of 3.0 MB`);
    await rm(folder, { recursive: true });
    expect(await written(false, download)).toBe("");
  } finally {
    await hub.close();
    await rm(folder, { recursive: true });
  }
});

it("a bar is drawn a few times a second, and when it is full", async () => {
  const events = Array.from(
    { length: 301 },
    (_, loaded) => ({ status: "load", loaded, total: 300, progress: 0 }) as const,
  );
  const lines = (await written(true, () => events.forEach(showLoading))).split("\r\x1b[K").slice(1);
  expect(lines.length).toBeLessThan(10);
  expect(lines.at(-1)).toContain("100 %");
});

it("what takes long is named after a second, with its time in a terminal", async () => {
  vi.useFakeTimers();
  try {
    const work = () => new Promise((resolve) => setTimeout(resolve, 2500));
    const run = async () => {
      const done = working("looking at a.png", work);
      await vi.advanceTimersByTimeAsync(2500);
      await done;
    };
    expect(await written(false, run)).toBe("looking at a.png ...\n");
    expect(await written(true, run)).toMatch(/looking at a\.png \(1 s\).*looking at a\.png \(2 s\)/s);
    const short = async () => void (await working("nothing", async () => 1));
    expect(await written(true, short)).toBe("");
  } finally {
    vi.useRealTimers();
  }
});

it("a stack is shown only for what is a fault of this library", async () => {
  const known = new Florence2Error("option_invalid", "dtype is q3,\nexpected q4");
  expect(await written(false, () => fail(known))).toBe("dtype is q3, expected q4\n");
  const system = Object.assign(new Error("ENOSPC: no space left"), { syscall: "write" });
  expect(await written(false, () => fail(system))).toBe("ENOSPC: no space left\n");
  expect(await written(false, () => fail(new Error("unforeseen")))).toMatch(/unforeseen\n {4}at /);
});

it("quiet leaves errors alone", async () => {
  try {
    beQuiet(true);
    expect(await written(true, () => note("loaded"))).toBe("");
    expect(await written(false, () => fail(new Florence2Error("disposed", "gone")))).toBe("gone\n");
  } finally {
    beQuiet(false);
  }
});

it("counts in words", () => {
  expect([counted(1, "token"), counted(2, "token")]).toEqual(["1 token", "2 tokens"]);
});
