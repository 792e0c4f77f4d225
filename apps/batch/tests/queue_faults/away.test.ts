import { describe, expect, it } from "vitest";
import { freePort, hasRedis, startRedis } from "../support/redis.ts";
import { images, planned, run } from "../support/runs.ts";
import { startWorker, until } from "../support/workers.ts";

describe("a queue whose server is away", () => {
  for (const scheme of ["redis", "postgres"]) {
    it.concurrent(`${scheme}: plan says so, and a worker waits, tells it once, and ends when it is told to`, async () => {
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

  it.skipIf(!hasRedis)("one that refuses the password ends plan and worker, with the remedy", async () => {
    const redis = await startRedis("--requirepass right");
    try {
      const out = await planned(images(10));
      for (const user of ["", ":wrong@"]) {
        const url = redis.url.replace("//", `//${user}`);
        await expect(run(["resume", out, "--queue", url])).rejects.toMatchObject({
          code: "access_denied",
          message: expect.stringMatching(/^The queue at 127[^@]* refuses .*redis:\/\/:PASSWORD@host/),
        });
        const worker = startWorker(["work", out, "--queue", url]);
        expect(await worker.ended).toBe(1);
        expect(worker.output()).toMatch(/refuses this user or password/);
        expect(worker.output()).not.toMatch(/:wrong/);
      }
    } finally {
      redis.stop();
    }
  });

  it("one that is no URL of a queue is refused", async () => {
    for (const url of ["nats://user:secret@x", "localhost:6379", "redis:"]) {
      const refused = run(["work", "--queue", url]);
      await expect(refused).rejects.toMatchObject({ code: "option_invalid" });
      await expect(refused).rejects.not.toThrow(/secret/);
    }
  });
});
