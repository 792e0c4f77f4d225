import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "vitest";
import { tasks } from "../../index.ts";
import { runEveryTask } from "./every_task.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Has another runtime do every task from the sources, and expects the answers that Node gives. */
export async function expectEveryTask(
  [program, ...options]: readonly [string, ...string[]],
  device: "gpu" | "cpu",
): Promise<void> {
  const args = [...options, "tests/support/every_task_program.ts", device];
  const { stdout } = await promisify(execFile)(program, args, { cwd: root });
  const found = JSON.parse(stdout.trim().split("\n").at(-1)!) as Awaited<ReturnType<typeof runEveryTask>>;
  expect(Object.keys(found.tokens)).toEqual(tasks.map(({ token }) => token));
  const expected = await runEveryTask(device);
  expect(found.tokens).toEqual(expected.tokens);
  // The same threads and form of the kernels; another WebGPU calls the GPU by another name.
  if (device === "cpu") expect(found.device).toBe(expected.device);
}

/** Expects a process of another runtime to end by itself although it never disposes its model. */
export async function expectEnd([program, ...options]: readonly [string, ...string[]]): Promise<void> {
  const args = [...options, "tests/support/forgetful_program.ts"];
  const { stdout } = await promisify(execFile)(program, args, { cwd: root, timeout: 1_500_000 });
  expect(stdout).toMatch(/heart/);
}
