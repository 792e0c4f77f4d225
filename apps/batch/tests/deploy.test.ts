import { spawnSync } from "node:child_process";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { images, newFolder, planned, resultsOf } from "./support/runs.ts";

const deploy = (name: string) => fileURLToPath(new URL(`../deploy/${name}`, import.meta.url));
const worker = fileURLToPath(new URL("./support/fake_worker.mjs", import.meta.url));

/** A folder for PATH in which `npx florence2-batch` is the worker of these tests. */
function pathWithNpx(): string {
  const folder = newFolder();
  writeFileSync(join(folder, "npx"), `#!/bin/sh\nshift\nexec "${process.execPath}" "${worker}" "$@"\n`);
  chmodSync(join(folder, "npx"), 0o755);
  return `${folder}:${process.env.PATH}`;
}

describe("examples for programs that divide the work themselves", () => {
  it("an Indexed Job of Kubernetes: its command, with the index of each pod, computes a run", async () => {
    const job = parse(readFileSync(deploy("indexed-job.yaml"), "utf8"));
    expect(job).toMatchObject({ apiVersion: "batch/v1", kind: "Job" });
    const { spec } = job;
    expect(spec).toMatchObject({ completionMode: "Indexed", template: { spec: { restartPolicy: "Never" } } });
    // Kubernetes takes these two only with the index's own limit and with pods that are never restarted.
    expect(spec.backoffLimitPerIndex).toBeGreaterThan(0);
    expect(spec.maxFailedIndexes).toBeLessThanOrEqual(spec.completions);
    const [container] = spec.template.spec.containers;
    const names = spec.template.spec.volumes.map(({ name }: { name: string }) => name);
    for (const { name } of container.volumeMounts) expect(names).toContain(name);
    const out = await planned(images(30));
    const [command, ...args] = container.command.map((word: string) =>
      word === container.volumeMounts[0].mountPath ? out : word,
    );
    for (let index = 0; index < 3; index++) {
      const env = { ...process.env, PATH: pathWithNpx(), JOB_COMPLETION_INDEX: String(index) };
      expect(spawnSync(command, args, { env }).status).toBe(0);
    }
    expect((await resultsOf(out)).rows).toHaveLength(30);
  });

  it("an array of Slurm", async () => {
    const out = await planned(images(20));
    for (let index = 0; index < 2; index++) {
      const env = { ...process.env, PATH: pathWithNpx(), SLURM_ARRAY_TASK_ID: String(index) };
      expect(spawnSync("sh", [deploy("slurm-array.sh"), out], { env }).status).toBe(0);
    }
    expect((await resultsOf(out)).rows).toHaveLength(20);
  });

  it("a task of Ray: the function that Ray calls computes a chunk, and raises for one that is none", async () => {
    const out = await planned(images(20));
    const call = (chunk: number) =>
      spawnSync(
        "python3",
        [
          "-c",
          "import sys, ray_chunks; ray_chunks.run_chunk(sys.argv[1], int(sys.argv[2]))",
          out,
          String(chunk),
        ],
        {
          env: { ...process.env, PATH: pathWithNpx(), PYTHONPATH: deploy(""), PYTHONDONTWRITEBYTECODE: "1" },
        },
      ).status;
    expect([call(0), call(1), call(2)]).toEqual([0, 0, 1]);
    expect((await resultsOf(out)).rows).toHaveLength(20);
  });
});
