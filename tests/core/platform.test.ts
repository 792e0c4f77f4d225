import { availableParallelism } from "node:os";
import { afterEach, describe, expect, it, vi } from "vitest";
import { availableThreads } from "../../core/platform.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** A machine of eight processors, and what Linux says of this process's share of them. */
function machine(files: Readonly<Record<string, string>>): void {
  vi.spyOn(process, "getBuiltinModule").mockImplementation(((name: string) =>
    name === "node:os"
      ? { availableParallelism: () => 8 }
      : {
          readFile: async (path: string) => {
            const content = files[path.replace("/sys/fs/cgroup/", "")];
            if (content === undefined) throw new Error(`ENOENT: ${path}`);
            return content;
          },
        }) as typeof process.getBuiltinModule);
}

describe("the threads to compute with", () => {
  it.each([
    ["where nothing is said", {}, 8],
    ["where all may be used", { "cpu.max": "max 100000\n" }, 8],
    ["in a container with two", { "cpu.max": "200000 100000\n" }, 2],
    ["in a container with one and a half", { "cpu.max": "150000 100000\n" }, 2],
    ["in a container with a tenth", { "cpu.max": "10000 100000\n" }, 1],
    ["in a container with more than there are", { "cpu.max": "1600000 100000\n" }, 8],
    ["by cgroup v1", { "cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n" }, 3],
    ["by cgroup v1, all", { "cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n" }, 8],
    ["where it is said in other words", { "cpu.max": "a lot\n" }, 8],
  ])("are, %s", async (_, files, expected) => {
    machine(files);
    expect(await availableThreads()).toBe(expected);
  });

  it("are no more than the processors here", async () => {
    expect(await availableThreads()).toBeLessThanOrEqual(availableParallelism());
  });
});
