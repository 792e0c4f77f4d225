import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasPostgres, startPostgres } from "./support/postgres.ts";
import { images, planned, resultsOf, run } from "./support/runs.ts";
import { startWorker, until } from "./support/workers.ts";

describe.skipIf(!hasPostgres)("the queue on PostgreSQL", () => {
  let server: { readonly url: string; stop(): void };
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.stop());

  it("three workers, one of them killed: each key once, as on one process", async () => {
    const folder = images(200);
    const out = await planned(folder, ["--queue", server.url]);
    const start = () =>
      startWorker(["work", out, "--queue", server.url, "--lock-duration", "3s"], { FAKE_MS: "20" });
    const workers = [start(), start(), start()];
    const parts = () => (existsSync(join(out, "parts")) ? readdirSync(join(out, "parts")) : []);
    await until(() => parts().length >= 3);
    workers[0]!.process.kill("SIGKILL");
    expect(await Promise.all(workers.slice(1).map(({ ended }) => ended))).toEqual([0, 0]);
    const alone = await planned(folder);
    expect(await startWorker(["work", alone], { FAKE_MS: "0" }).ended).toBe(0);
    const { rows, sha256 } = await resultsOf(out);
    expect(new Set(rows.map(({ key }) => key)).size).toBe(200);
    expect(sha256).toBe((await resultsOf(alone)).sha256);
  });

  it("a worker that is stopped gives its chunk to another at once; a cancelled run leaves the queue", async () => {
    const out = await planned(images(20), ["--queue", server.url]);
    const args = ["work", out, "--queue", server.url];
    const first = startWorker([...args, "--shutdown-timeout", "200ms"], { FAKE_MS: "2000" });
    await until(() => existsSync(join(out, "partial")));
    first.process.kill("SIGTERM");
    expect(await first.ended).toBe(130);
    expect(await startWorker(args).ended).toBe(0);
    expect((await resultsOf(out)).rows).toHaveLength(20);

    const other = await planned(images(30), ["--queue", server.url]);
    await run(["cancel", other, "--queue", server.url]);
    expect(await startWorker(["work", other, "--queue", server.url]).ended).toBe(0);
    expect(existsSync(join(other, "parts"))).toBe(false);
  });
});
