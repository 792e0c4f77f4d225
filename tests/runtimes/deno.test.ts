import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { tasks } from "../../index.ts";
import { runEveryTask } from "../support/every_task.ts";
import { gpuMissing } from "../support/gpu.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const deno = `${root}node_modules/.bin/deno`;

describe.skipIf(!existsSync(deno))("under Deno", () => {
  it("the sources run as they are, every task, with the answers that Node gives", async () => {
    const device = gpuMissing ? "cpu" : "gpu";
    const args = ["run", "-A", "--unstable-webgpu", "tests/support/deno_smoke.ts", device];
    const { stdout } = await promisify(execFile)(deno, args, { cwd: root });
    const inDeno = JSON.parse(stdout.trim().split("\n").at(-1)!) as Record<string, number[]>;
    expect(Object.keys(inDeno)).toEqual(tasks.map(({ token }) => token));
    expect(inDeno).toEqual(await runEveryTask(device));
  });
});
