import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { canMount, expectWhole, onSmallDisk, partsIn } from "../support/faults.ts";
import { gateAt } from "../support/gate.ts";
import type { QueueServer, StartedQueue } from "../support/queues.ts";
import { images, newFolder, planned, resultsOf, run } from "../support/runs.ts";
import { startS3 } from "../support/s3_double.ts";
import { type StartedWorker, startWorker, until } from "../support/workers.ts";

/** Faults while workers share a queue on this server. Each server has a file of its own, so that both run at once. */
export function testFaults({ name, isHere, start: startQueue }: QueueServer): void {
  describe.skipIf(!isHere)(`faults with ${name}`, () => {
    let queue: StartedQueue;
    const workers: StartedWorker[] = [];
    beforeAll(async () => {
      queue = await startQueue();
    });
    afterEach(async () => {
      for (const worker of workers) worker.process.kill("SIGKILL");
      await Promise.all(workers.splice(0).map(({ ended }) => ended));
      queue.flush();
    });
    afterAll(() => queue.stop());

    const start = (
      args: readonly string[],
      env: Readonly<Record<string, string>> = {},
      runtime?: readonly [string, ...string[]],
    ): StartedWorker => {
      const worker = startWorker(["--queue", queue.url, "--lock-duration", "2s", ...args], env, runtime);
      workers.push(worker);
      return worker;
    };

    it("three workers, of which one after another is killed: each key once, the same bytes", async () => {
      const folder = images(300);
      const out = await planned(folder, ["--queue", queue.url]);
      const env = { FAKE_MS: "10" };
      const running = Array.from({ length: 3 }, () => start(["work", out], env));
      for (let kills = 0; kills < 3; kills++) {
        await until(() => partsIn(out).length >= 5 * (kills + 1));
        running[kills]!.process.kill("SIGKILL");
        expect(await running[kills]!.ended).toBe("SIGKILL");
        running[kills] = start(["work", out], env);
      }
      expect(await Promise.all(running.map(({ ended }) => ended))).toEqual([0, 0, 0]);
      await expectWhole(out, folder, 300);
    });

    it("the queue emptied: only missing chunks are computed", async () => {
      const folder = images(100);
      const gate = gateAt(join(folder, "00045.jpg"));
      const out = await planned(folder, ["--queue", queue.url]);
      const asked = join(newFolder(), "asked");
      const worker = start(["work", out], { ...gate.env, FAKE_ASKED: asked });
      await gate.reached();
      queue.flush();
      gate.open();
      expect(await worker.ended).toBe(0);
      const lines = readFileSync(asked, "utf8").trim().split("\n");
      expect(new Set(lines).size).toBe(100);
      expect(lines).toHaveLength(100);
      await expectWhole(out, folder, 100);
    });

    it("its server killed and started again: the run goes on by itself", async () => {
      const folder = images(100);
      const gate = gateAt(join(folder, "00045.jpg"));
      const out = await planned(folder, ["--queue", queue.url]);
      const worker = start(["work", out], gate.env);
      await gate.reached();
      await queue.restart();
      gate.open();
      expect(await worker.ended).toBe(0);
      await expectWhole(out, folder, 100);
    });

    it("a lock that expires while a chunk is computed: two finish it, one part, no error", async () => {
      const folder = images(40);
      writeFileSync(join(folder, "00012.jpg"), "block");
      const out = await planned(folder, ["--queue", queue.url]);
      const env = { FAKE_MS: "20", FAKE_BLOCK_MS: "6000", FAKE_BLOCK_MARK: join(newFolder(), "mark") };
      const running = [start(["work", out], env), start(["work", out], env)];
      expect(await Promise.all(running.map(({ ended }) => ended))).toEqual([0, 0]);
      await expectWhole(out, folder, 40);
    });

    it("an image that kills workers gets an error after two of them", async () => {
      const folder = images(16);
      writeFileSync(join(folder, "00013.jpg"), "poison");
      const out = await planned(folder, ["--queue", queue.url, "--chunk", "4"]);
      const codes: (number | string)[] = [];
      for (let i = 0; i < 8 && codes.at(-1) !== 1; i++) codes.push(await start(["work", out]).ended);
      expect(codes).toEqual(["SIGKILL", "SIGKILL", 1]);
      const { rows } = await resultsOf(out);
      expect(rows.filter(({ status }) => status === "error").map(({ key }) => key)).toEqual(["00013.jpg"]);
    });

    it("SIGTERM: the chunk at work goes to another worker at once, long before its lock ends", async () => {
      const folder = images(20);
      const gate = gateAt(join(folder, "00005.jpg"));
      const out = await planned(folder, ["--queue", queue.url]);
      const flags = ["--shutdown-timeout", "200ms", "--lock-duration", "2h"];
      const first = start(["work", out, ...flags], gate.env);
      await gate.reached();
      first.process.kill("SIGTERM");
      expect(await first.ended).toBe(130);
      // By its lock the chunk would come after two hours.
      expect(await start(["work", out]).ended).toBe(0);
      await expectWhole(out, folder, 20);
    });

    it("a worker on Deno finishes a run that was begun on Node", async () => {
      const folder = images(60);
      const gate = gateAt(join(folder, "00025.jpg"));
      const out = await planned(folder, ["--queue", queue.url]);
      const first = start(["work", out], gate.env);
      await gate.reached();
      first.process.kill("SIGTERM");
      gate.open();
      expect(await first.ended).toBe(130);
      expect(partsIn(out).length).toBeLessThan(6);
      const deno = fileURLToPath(new URL("../../../../node_modules/.bin/deno", import.meta.url));
      const second = start(["work", out], {}, [deno, "run", "-A", "--no-lock"]);
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
