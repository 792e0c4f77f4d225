import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hasRedis, type StartedRedis, startRedis } from "./support/redis.ts";
import { images, newFolder, planned, resultsOf, run } from "./support/runs.ts";
import { type StartedWorker, startWorker, until } from "./support/workers.ts";

const partsIn = (out: string) =>
  existsSync(join(out, "parts"))
    ? readdirSync(join(out, "parts")).filter((name) => !name.endsWith(".tmp"))
    : [];

/** The same run on one process that nothing disturbs. */
async function undisturbed(folder: string): Promise<string> {
  const out = await planned(folder);
  expect(await startWorker(["work", out], { FAKE_MS: "0" }).ended).toBe(0);
  return (await resultsOf(out)).sha256;
}

async function expectWhole(out: string, folder: string, count: number): Promise<void> {
  const { rows, sha256 } = await resultsOf(out);
  expect(new Set(rows.map(({ key }) => key)).size).toBe(count);
  expect(rows).toHaveLength(count);
  expect(sha256).toBe(await undisturbed(folder));
}

describe("faults without a queue", () => {
  it("a worker that is killed again and again finishes its run", async () => {
    const folder = images(200);
    const out = await planned(folder);
    let kills = 0;
    for (let code: number | string = ""; code !== 0; ) {
      const before = partsIn(out).length;
      const worker = startWorker(["work", out], { FAKE_MS: "10" });
      const timer = setInterval(() => {
        if (kills >= 5 || partsIn(out).length < before + 3) return;
        kills++;
        worker.process.kill("SIGKILL");
        clearInterval(timer);
      }, 20);
      code = await worker.ended;
      clearInterval(timer);
    }
    expect(kills).toBe(5);
    await expectWhole(out, folder, 200);
  });

  it("an image that kills the process gets an error, and all others their answers", async () => {
    const folder = images(30);
    writeFileSync(join(folder, "00013.jpg"), "poison");
    const out = await planned(folder);
    const codes: (number | string)[] = [];
    for (let i = 0; i < 10 && codes.at(-1) !== 1; i++) codes.push(await startWorker(["work", out]).ended);
    expect(codes).toEqual(["SIGKILL", "SIGKILL", "SIGKILL", "SIGKILL", 1]);
    const { rows } = await resultsOf(out);
    expect(rows.filter(({ status }) => status === "error")).toEqual([
      expect.objectContaining({ key: "00013.jpg", error: { code: "crashed", message: expect.any(String) } }),
    ]);
    expect(rows).toHaveLength(30);
  });

  it("SIGTERM ends a worker in good order", async () => {
    const folder = images(100);
    const out = await planned(folder);
    const worker = startWorker(["work", out], { FAKE_MS: "20" });
    await until(() => partsIn(out).length >= 2);
    worker.process.kill("SIGTERM");
    expect(await worker.ended).toBe(130);
    expect(await startWorker(["work", out]).ended).toBe(0);
    await expectWhole(out, folder, 100);
  });

  const mount = newFolder();
  const canMount = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", mount]).status === 0;
  if (canMount) execFileSync("umount", [mount]);
  else console.warn("SKIPPED: no file system can be mounted here; a full disk is not tested");

  it.skipIf(!canMount)(
    "a full disk is told, leaves nothing partial, and the run goes on when there is space",
    async () => {
      const folder = images(100);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", mount]);
      try {
        const out = join(mount, "run");
        await run(["plan", folder, "--task", "CAPTION", "--out", out, "--chunk", "10"]);
        const filler = join(mount, "filler");
        spawnSync("dd", ["if=/dev/zero", `of=${filler}`, "bs=1k", "count=1000"]);
        spawnSync("truncate", ["-s", "-12k", filler]);
        const worker = startWorker(["work", out]);
        expect(await worker.ended).toBe(1);
        expect(worker.output()).toMatch(/free some space, then start the same command again/);
        expect(partsIn(out).length).toBeLessThan(10);
        if (existsSync(join(out, "parts")))
          expect(readdirSync(join(out, "parts")).filter((name) => name.endsWith(".tmp"))).toEqual([]);
        rmSync(filler);
        expect(await startWorker(["work", out]).ended).toBe(0);
        await expectWhole(out, folder, 100);
      } finally {
        execFileSync("umount", [mount]);
      }
    },
  );
});

describe.skipIf(!hasRedis)("faults with Redis", () => {
  let redis: StartedRedis;
  let workers: StartedWorker[] = [];
  beforeEach(async () => {
    redis = await startRedis();
    workers = [];
  });
  afterEach(() => {
    for (const worker of workers) worker.process.kill("SIGKILL");
    redis.stop();
  });

  const start = (args: readonly string[], env: Readonly<Record<string, string>> = {}): StartedWorker => {
    const worker = startWorker([...args, "--queue", redis.url, "--lock-duration", "3s"], env);
    workers.push(worker);
    return worker;
  };

  it("three workers, one of them killed every few seconds: each key once, the same bytes", async () => {
    const folder = images(600);
    const out = await planned(folder, ["--queue", redis.url]);
    const running = Array.from({ length: 3 }, () => start(["work", out], { FAKE_MS: "40" }));
    let kills = 0;
    while (kills < 3) {
      await new Promise((wake) => setTimeout(wake, 3000));
      if (partsIn(out).length === 60) break;
      running[kills % 3]!.process.kill("SIGKILL");
      running[kills % 3] = start(["work", out], { FAKE_MS: "40" });
      kills++;
    }
    expect(kills).toBeGreaterThan(0);
    await until(() => partsIn(out).length === 60);
    expect(await Promise.all(running.map(({ ended }) => ended))).toEqual([0, 0, 0]);
    await expectWhole(out, folder, 600);
  });

  it("Redis flushed: only missing chunks are computed", async () => {
    const folder = images(200);
    const out = await planned(folder, ["--queue", redis.url]);
    const worker = start(["work", out], { FAKE_MS: "10" });
    await until(() => partsIn(out).length >= 4);
    redis.flush();
    expect(await worker.ended).toBe(0);
    await expectWhole(out, folder, 200);
  });

  it("Redis killed and started again: the run goes on by itself", async () => {
    const folder = images(200);
    const out = await planned(folder, ["--queue", redis.url]);
    const worker = start(["work", out], { FAKE_MS: "10" });
    await until(() => partsIn(out).length >= 4);
    await redis.restart();
    expect(await worker.ended).toBe(0);
    await expectWhole(out, folder, 200);
  });

  it("a lock that expires while a chunk is computed: two finish it, one part, no error", async () => {
    const folder = images(40);
    writeFileSync(join(folder, "00012.jpg"), "block");
    const out = await planned(folder, ["--queue", redis.url]);
    const env = { FAKE_MS: "20", FAKE_BLOCK_MS: "9000", FAKE_BLOCK_MARK: join(newFolder(), "mark") };
    const running = [start(["work", out], env), start(["work", out], env)];
    expect(await Promise.all(running.map(({ ended }) => ended))).toEqual([0, 0]);
    await expectWhole(out, folder, 40);
  });

  it("an image that kills workers gets an error after four of them", async () => {
    const folder = images(30);
    writeFileSync(join(folder, "00013.jpg"), "poison");
    const out = await planned(folder, ["--queue", redis.url]);
    const codes: (number | string)[] = [];
    for (let i = 0; i < 8 && codes.at(-1) !== 1; i++) codes.push(await start(["work", out]).ended);
    expect(codes).toEqual(["SIGKILL", "SIGKILL", "SIGKILL", "SIGKILL", 1]);
    const { rows } = await resultsOf(out);
    expect(rows.filter(({ status }) => status === "error").map(({ key }) => key)).toEqual(["00013.jpg"]);
  });

  it("SIGTERM: the chunk at work goes to another worker at once, long before its lock ends", async () => {
    const folder = images(20);
    const out = await planned(folder, ["--queue", redis.url]);
    const first = startWorker(["work", out, "--queue", redis.url, "--shutdown-timeout", "200ms"], {
      FAKE_MS: "3000",
    });
    workers.push(first);
    await until(() => existsSync(join(out, "partial")));
    first.process.kill("SIGTERM");
    const stopped = Date.now();
    expect(await first.ended).toBe(130);
    // The lock of the first worker, by default, would last for two minutes.
    expect(await start(["work", out]).ended).toBe(0);
    expect(Date.now() - stopped).toBeLessThan(60_000);
    await expectWhole(out, folder, 20);
  });

  it("a worker on Deno finishes a run that was begun on Node", async () => {
    const folder = images(60);
    const out = await planned(folder, ["--queue", redis.url]);
    const first = start(["work", out], { FAKE_MS: "20" });
    await until(() => partsIn(out).length >= 2);
    first.process.kill("SIGTERM");
    expect(await first.ended).toBe(130);
    const deno = fileURLToPath(new URL("../../../node_modules/.bin/deno", import.meta.url));
    const second = startWorker(["work", out, "--queue", redis.url], {}, [deno, "run", "-A", "--no-lock"]);
    workers.push(second);
    expect(await second.ended, second.output()).toBe(0);
    await expectWhole(out, folder, 60);
  });

  it("serves all runs until it is stopped, and takes errors again", async () => {
    const outs = [
      await planned(images(20), ["--queue", redis.url]),
      await planned(images(30), ["--queue", redis.url]),
    ];
    const worker = start(["work"]);
    await until(() => partsIn(outs[0]!).length === 2 && partsIn(outs[1]!).length === 3);
    worker.process.kill("SIGTERM");
    expect(await worker.ended).toBe(130);
    expect(await run(["merge", outs[1]!, "--to", newFolder()])).toBe(0);
  });
});
