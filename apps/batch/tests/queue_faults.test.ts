import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { canMount, expectWhole, onSmallDisk, partsIn } from "./support/faults.ts";
import { queues, type StartedQueue } from "./support/queues.ts";
import { freePort } from "./support/redis.ts";
import { images, newFolder, planned, resultsOf, run } from "./support/runs.ts";
import { startS3 } from "./support/s3_double.ts";
import { type StartedWorker, startWorker, until } from "./support/workers.ts";

for (const { name, isHere, start: startQueue } of queues) {
  describe.skipIf(!isHere)(`faults with ${name}`, () => {
    let queue: StartedQueue;
    let workers: StartedWorker[] = [];
    beforeEach(async () => {
      queue = await startQueue();
      workers = [];
    });
    afterEach(() => {
      for (const worker of workers) worker.process.kill("SIGKILL");
      queue.stop();
    });

    const start = (args: readonly string[], env: Readonly<Record<string, string>> = {}): StartedWorker => {
      const worker = startWorker([...args, "--queue", queue.url, "--lock-duration", "3s"], env);
      workers.push(worker);
      return worker;
    };

    it("three workers, one of them killed every few seconds: each key once, the same bytes", async () => {
      const folder = images(600);
      const out = await planned(folder, ["--queue", queue.url]);
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

    it("the queue emptied: only missing chunks are computed", async () => {
      const folder = images(200);
      const out = await planned(folder, ["--queue", queue.url]);
      const worker = start(["work", out], { FAKE_MS: "10" });
      await until(() => partsIn(out).length >= 4);
      queue.flush();
      expect(await worker.ended).toBe(0);
      await expectWhole(out, folder, 200);
    });

    it("its server killed and started again: the run goes on by itself", async () => {
      const folder = images(200);
      const out = await planned(folder, ["--queue", queue.url]);
      const worker = start(["work", out], { FAKE_MS: "10" });
      await until(() => partsIn(out).length >= 4);
      await queue.restart();
      expect(await worker.ended).toBe(0);
      await expectWhole(out, folder, 200);
    });

    it("a lock that expires while a chunk is computed: two finish it, one part, no error", async () => {
      const folder = images(40);
      writeFileSync(join(folder, "00012.jpg"), "block");
      const out = await planned(folder, ["--queue", queue.url]);
      const env = { FAKE_MS: "20", FAKE_BLOCK_MS: "9000", FAKE_BLOCK_MARK: join(newFolder(), "mark") };
      const running = [start(["work", out], env), start(["work", out], env)];
      expect(await Promise.all(running.map(({ ended }) => ended))).toEqual([0, 0]);
      await expectWhole(out, folder, 40);
    });

    it("an image that kills workers gets an error after four of them", async () => {
      const folder = images(30);
      writeFileSync(join(folder, "00013.jpg"), "poison");
      const out = await planned(folder, ["--queue", queue.url]);
      const codes: (number | string)[] = [];
      for (let i = 0; i < 8 && codes.at(-1) !== 1; i++) codes.push(await start(["work", out]).ended);
      expect(codes).toEqual(["SIGKILL", "SIGKILL", "SIGKILL", "SIGKILL", 1]);
      const { rows } = await resultsOf(out);
      expect(rows.filter(({ status }) => status === "error").map(({ key }) => key)).toEqual(["00013.jpg"]);
    });

    it("SIGTERM: the chunk at work goes to another worker at once, long before its lock ends", async () => {
      const folder = images(20);
      const out = await planned(folder, ["--queue", queue.url]);
      const first = startWorker(["work", out, "--queue", queue.url, "--shutdown-timeout", "200ms"], {
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
      const out = await planned(folder, ["--queue", queue.url]);
      const first = start(["work", out], { FAKE_MS: "20" });
      await until(() => partsIn(out).length >= 2);
      first.process.kill("SIGTERM");
      expect(await first.ended).toBe(130);
      const deno = fileURLToPath(new URL("../../../node_modules/.bin/deno", import.meta.url));
      const second = startWorker(["work", out, "--queue", queue.url], {}, [deno, "run", "-A", "--no-lock"]);
      workers.push(second);
      expect(await second.ended, second.output()).toBe(0);
      await expectWhole(out, folder, 60);
    });

    it("serves all runs until it is stopped, and takes errors again", async () => {
      const outs = [
        await planned(images(20), ["--queue", queue.url]),
        await planned(images(30), ["--queue", queue.url]),
      ];
      const worker = start(["work"]);
      await until(() => partsIn(outs[0]!).length === 2 && partsIn(outs[1]!).length === 3);
      worker.process.kill("SIGTERM");
      expect(await worker.ended).toBe(130);
      expect(await run(["merge", outs[1]!, "--to", newFolder()])).toBe(0);
    });

    it("a bucket that answers 503: asked again, and the run is the same", async () => {
      const s3 = await startS3();
      const env = { AWS_ENDPOINT_URL: s3.url, AWS_ACCESS_KEY_ID: "key", AWS_SECRET_ACCESS_KEY: "secret" };
      for (const [key, value] of Object.entries(env)) vi.stubEnv(key, value);
      s3.busyEach(7);
      try {
        const folder = images(60);
        const out = "s3://results/run";
        await run(["plan", folder, "--task", "CAPTION", "--out", out, "--chunk", "10", "--queue", queue.url]);
        const running = [1, 2].map(() => start(["work", out], { ...env, FAKE_MS: "20" }));
        expect(await Promise.all(running.map(({ ended }) => ended))).toEqual([0, 0]);
        expect(s3.answers.filter((answer) => answer.endsWith("503")).length).toBeGreaterThan(2);
        s3.busyEach(0);
        await expectWhole(out, folder, 60);
      } finally {
        vi.unstubAllEnvs();
        s3.close();
      }
    });

    it.skipIf(!canMount)("a full disk: the worker tells, waits, and goes on when there is space", () =>
      onSmallDisk(async ({ folder: disk, fill, empty }) => {
        const folder = images(60);
        const out = join(disk, "run");
        await run(["plan", folder, "--task", "CAPTION", "--out", out, "--chunk", "10", "--queue", queue.url]);
        fill();
        const worker = start(["work", out]);
        await until(() => /chunk \d+: .*free some space/.test(worker.output()));
        empty();
        expect(await worker.ended).toBe(0);
        await expectWhole(out, folder, 60);
      }),
    );

    it("a run that is cancelled leaves the queue", async () => {
      const out = await planned(images(30), ["--queue", queue.url]);
      await run(["cancel", out, "--queue", queue.url]);
      expect(await start(["work", out]).ended).toBe(0);
      expect(existsSync(join(out, "parts"))).toBe(false);
    });
  });
}

describe("a queue whose server is away", () => {
  for (const scheme of ["redis", "postgres"]) {
    it(`${scheme}: plan says so, and a worker waits, tells it once, and ends when it is told to`, async () => {
      const url = `${scheme}://user:secret@127.0.0.1:${await freePort()}/x`;
      const out = await planned(images(10));
      const resumed = run(["resume", out, "--queue", url]);
      await expect(resumed).rejects.toMatchObject({
        code: "download_failed",
        message: expect.stringMatching(/^The queue at 127[^@]* cannot be used: .*Start its server/),
      });
      const worker = startWorker(["work", out, "--queue", url]);
      await until(() => /the queue at 127/i.test(worker.output()));
      worker.process.kill("SIGTERM");
      expect(await worker.ended).toBe(130);
      expect(worker.output()).not.toMatch(/secret/);
      expect(worker.output().split("\n").length).toBeLessThan(8);
    });
  }

  it("one that is no URL of a queue is refused", async () => {
    for (const url of ["nats://user:secret@x", "localhost:6379", "redis:"]) {
      const refused = run(["work", "--queue", url]);
      await expect(refused).rejects.toMatchObject({ code: "option_invalid" });
      await expect(refused).rejects.not.toThrow(/secret/);
    }
  });
});
